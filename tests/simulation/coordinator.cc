#include "tests/simulation/coordinator.h"

#include <utility>

#include "common/reason.h"
#include "tests/simulation/world.h"

namespace k3saga::simulation {
namespace {

constexpr int64_t kProbeTimeoutMs = 2000;
constexpr int64_t kAskAgainMs = 4000;
constexpr int kMostRounds = 10'000;

}  // namespace

Coordinator::Coordinator(World& world, std::string holder, Journal journal)
    : world_(world), holder_(std::move(holder)), journal_(std::move(journal)) {}

void Coordinator::Begin(const v1::RolloutCreated& created) {
  v1::Event event;
  *event.mutable_created() = created;
  Input(std::move(event));
}

void Coordinator::Resume() {
  up_ = true;
  frozen_ = false;
  ++process_;
  state_ = {};
  inbox_.clear();
  rounds_.clear();
  held_back_.clear();
  turn_due_ = false;
  for (const v1::Event& event : journal_) {
    const absl::Status applied = core::Apply(event, state_);
    if (!applied.ok())
      return world_.checker.Violate("the journal does not fold: " + std::string(applied.message()));
  }
  if (!state_.created()) return Begin(world_.scenario.created);
  if (state_.ended()) return;
  const uint64_t known = state_.next_sequence;
  v1::Event resumed;
  resumed.mutable_resumed()->set_holder(holder_);
  resumed.mutable_resumed()->set_epoch(state_.epoch + 1);
  Input(std::move(resumed));
  Turn();
  if (up_) DispatchOpen(known);
}

void Coordinator::Kill(int64_t down_ms) {
  if (!up_) return;
  up_ = false;
  ++process_;
  world_.Tell([] { return std::string("coordinator dies"); });
  world_.schedule.After(down_ms, [this] { Resume(); });
}

void Coordinator::Thaw() {
  frozen_ = false;
  if (!inbox_.empty()) Turn();
}

void Coordinator::Later(int64_t milliseconds, std::function<void()> action) {
  world_.schedule.After(milliseconds, [this, process = process_, action = std::move(action)] {
    if (up_ && process == process_) action();
  });
}

void Coordinator::Command(v1::CommandReceived::Command command) {
  if (!up() || state_.ended()) return;
  v1::Event event;
  event.mutable_command()->set_command(command);
  event.mutable_command()->set_by("user");
  Input(std::move(event));
}

void Coordinator::Input(v1::Event event) {
  inbox_.push_back(std::move(event));
  if (std::exchange(turn_due_, true)) return;
  Later(0, [this] { Turn(); });
}

bool Coordinator::Awaited(const v1::Event& event) const {
  switch (event.body_case()) {
    case v1::Event::kSettled:
      return state_.open_operations.count(event.settled().sequence()) != 0;
    case v1::Event::kGateProved:
      return state_.open_probes.count(event.gate_proved().sequence()) != 0;
    case v1::Event::kExternalGateAnswered:
      return state_.open_gates.count(event.external_gate_answered().sequence()) != 0;
    case v1::Event::kTimerFired:
      return state_.open_timers.count(event.timer_fired().sequence()) != 0;
    default:
      return true;
  }
}

void Coordinator::Fold(v1::Event event, std::vector<v1::Event>& log) {
  event.set_unix_ms(world_.schedule.now());
  const absl::Status applied = core::Apply(event, state_);
  if (!applied.ok()) world_.checker.Violate("an event does not fold: " + std::string(applied.message()));
  log.push_back(std::move(event));
}

void Coordinator::Turn() {
  turn_due_ = false;
  if (frozen_ || state_.ended()) return;
  std::vector<v1::Event> log;
  for (v1::Event& event : std::exchange(inbox_, {})) {
    if (Awaited(event)) Fold(std::move(event), log);
  }
  if (log.empty()) return;
  const size_t inputs = log.size();
  for (int round = 0; !world_.checker.violated(); ++round) {
    std::vector<v1::Event> next = core::Decide(state_, world_.mutation.rules);
    if (next.empty()) break;
    for (v1::Event& event : next) Fold(std::move(event), log);
    if (round > kMostRounds) world_.checker.Violate("Decide never comes to an end");
  }
  if (world_.checker.violated()) return;

  if (world_.mutation.dispatches_before_commit) {
    for (const v1::Event& event : log) Dispatch(event);
  }
  if (world_.Draw(Fault::kKilledBeforeCommit)) return Kill(world_.random.Between(500, 20'000));
  const size_t committed = world_.mutation.forgets_to_commit_inputs ? inputs : 0;
  journal_.insert(journal_.end(), log.begin() + static_cast<ptrdiff_t>(committed), log.end());
  world_.checker.OnCommitted(*this, log);
  if (world_.Draw(Fault::kKilledAfterCommit)) return Kill(world_.random.Between(500, 20'000));
  if (!world_.mutation.dispatches_before_commit) {
    for (const v1::Event& event : log) Dispatch(event);
  }
  AskHeldBack();
}

void Coordinator::AskHeldBack() {
  for (const uint64_t sequence : std::exchange(held_back_, {})) {
    const auto open = state_.open_operations.find(sequence);
    if (open == state_.open_operations.end()) continue;
    if (core::MayBeAsked(state_, open->second)) {
      SendRun(open->second);
    } else {
      held_back_.push_back(sequence);
    }
  }
}

void Coordinator::Dispatch(const v1::Event& event) {
  switch (event.body_case()) {
    case v1::Event::kIssued:
      if (world_.mutation.skips_backup && event.issued().spec().has_backup()) {
        v1::Event settled;
        settled.mutable_settled()->set_sequence(event.issued().sequence());
        settled.mutable_settled()->mutable_outcome()->set_code(v1::Outcome::SUCCEEDED);
        return Input(std::move(settled));
      }
      return Ask(event.issued());
    case v1::Event::kProbeIssued:
      return SendProbes(event.probe_issued());
    case v1::Event::kExternalGateAsked:
      return AskGate(event.external_gate_asked());
    case v1::Event::kTimerSet:
      return SetTimer(event.timer_set());
    default:
      return;
  }
}

// After a restart: whatever the journal shows as open is asked for again.
void Coordinator::DispatchOpen(uint64_t below) {
  for (const auto& [sequence, issued] : state_.open_operations) {
    if (sequence < below) Ask(issued);
  }
  for (const auto& [sequence, probe] : state_.open_probes) {
    if (sequence < below) SendProbes(probe.issued);
  }
  for (const auto& [sequence, asked] : state_.open_gates) {
    if (sequence < below) AskGate(asked);
  }
  for (const auto& [sequence, timer] : state_.open_timers) {
    if (sequence < below) SetTimer(timer);
  }
}

void Coordinator::Ask(const v1::OperationIssued& issued) {
  if (core::MayBeAsked(state_, issued)) {
    SendRun(issued);
  } else {
    held_back_.push_back(issued.sequence());
  }
  Watch(issued.sequence(), world_.schedule.now() + 1000 * static_cast<int64_t>(issued.deadline_seconds()));
}

v1::Authority Coordinator::AuthorityNow() const {
  v1::Authority authority;
  authority.set_rollout(state_.rollout());
  authority.set_epoch(state_.epoch);
  authority.set_holder(state_.holder);
  return authority;
}

void Coordinator::SendRun(const v1::OperationIssued& issued) {
  RunMessage message;
  message.authority = AuthorityNow();
  message.id.set_rollout(state_.rollout());
  message.id.set_sequence(issued.sequence());
  message.id.set_attempt(issued.attempt());
  message.spec = std::make_shared<const v1::OperationSpec>(issued.spec());
  Agent& agent = *world_.agents[state_.roster->index.at(issued.asked_of())];
  const int node = agent.node();
  world_.network.Send(node, [this, node, &agent, message, process = process_, sequence = issued.sequence()] {
    agent.Run(message, [this, node, process, sequence](const v1::Outcome& outcome) {
      v1::Event event;
      event.mutable_settled()->set_sequence(sequence);
      *event.mutable_settled()->mutable_outcome() = outcome;
      world_.network.Send(node, [this, process, event] {
        if (up_ && process == process_) Input(event);
      });
    });
  });
}

// Asks again while there is no outcome: the stream may have broken, the agent may have been away.
void Coordinator::Watch(uint64_t sequence, int64_t deadline) {
  if (world_.scenario.faults.until == 0) return;  // nothing gets lost
  Later(kAskAgainMs, [this, sequence, deadline] {
    const auto open = state_.open_operations.find(sequence);
    if (open == state_.open_operations.end()) return;
    if (world_.schedule.now() < deadline) {
      if (!frozen_ && core::MayBeAsked(state_, open->second)) SendRun(open->second);
      return Watch(sequence, deadline);
    }
    v1::Event event;
    event.mutable_settled()->set_sequence(sequence);
    v1::Outcome& outcome = *event.mutable_settled()->mutable_outcome();
    outcome.set_code(world_.mutation.timeouts_are_failures ? v1::Outcome::FAILED : v1::Outcome::UNKNOWN);
    *outcome.mutable_reason() = MakeReason(v1::TIMED_OUT, "", "no answer");
    Input(std::move(event));
  });
}

void Coordinator::SendProbes(const v1::ProbeIssued& probe) {
  const size_t servers = state_.servers();
  const uint64_t sequence = probe.sequence();
  ProbeRound& round = rounds_[sequence];
  round = {};
  round.missing = servers;
  round.proved.set_sequence(sequence);
  for (size_t i = 0; i < servers; ++i) {
    round.proved.add_servers()->set_node(state_.nodes[i].name());
    const bool with_nodes = probe.with_nodes();
    const int node = static_cast<int>(i);
    world_.network.Send(node, [this, node, i, sequence, with_nodes, process = process_] {
      const Agent& agent = *world_.agents[i];
      if (!agent.up()) return;
      world_.network.Send(node, [this, i, sequence, process, proof = agent.Probe(with_nodes)] {
        if (up_ && process == process_) OnProof(sequence, i, proof);
      });
    });
  }
  Later(kProbeTimeoutMs, [this, sequence] { FinishRound(sequence); });
}

void Coordinator::OnProof(uint64_t sequence, size_t server, const v1::ServerProof& proof) {
  auto round = rounds_.find(sequence);
  if (round == rounds_.end() && world_.mutation.mixes_probe_rounds && !rounds_.empty())
    round = rounds_.begin();
  if (round == rounds_.end()) return;
  v1::ServerProof& place = *round->second.proved.mutable_servers(static_cast<int>(server));
  if (place.reachable()) return;  // a doubled answer
  place = proof;
  if (proof.ready() && round->second.proved.nodes_size() == 0) {
    *round->second.proved.mutable_nodes() = place.nodes();
  }
  place.clear_nodes();
  if (--round->second.missing == 0) FinishRound(round->first);
}

void Coordinator::FinishRound(uint64_t sequence) {
  const auto round = rounds_.find(sequence);
  if (round == rounds_.end()) return;
  v1::Event event;
  *event.mutable_gate_proved() = std::move(round->second.proved);
  rounds_.erase(round);
  Input(std::move(event));
}

void Coordinator::AskGate(const v1::ExternalGateAsked& asked) {
  Later(world_.random.Between(10, 1000), [this, sequence = asked.sequence()] {
    v1::Event event;
    event.mutable_external_gate_answered()->set_sequence(sequence);
    event.mutable_external_gate_answered()->set_open(!world_.GateClosed());
    if (world_.GateClosed()) {
      *event.mutable_external_gate_answered()->mutable_reason() =
          MakeReason(v1::EXTERNAL_GATE_CLOSED, "Alert", "it is firing");
    }
    Input(std::move(event));
  });
}

void Coordinator::SetTimer(const v1::TimerSet& timer) {
  Later(timer.milliseconds(), [this, sequence = timer.sequence()] {
    v1::Event event;
    event.mutable_timer_fired()->set_sequence(sequence);
    Input(std::move(event));
  });
}

}  // namespace k3saga::simulation
