#include "tests/simulation/coordinator.h"

#include <algorithm>
#include <utility>

#include "common/reason.h"
#include "tests/simulation/world.h"

namespace k3saga::simulation {
namespace {

constexpr int64_t kProbeTimeoutMs = 2000;
constexpr int64_t kAskAgainMs = 4000;
constexpr int64_t kReportTimeoutMs = 20'000;
constexpr int kMostRounds = 10'000;

}  // namespace

Coordinator::Coordinator(World& world, std::string holder, Journal journal)
    : world_(world), holder_(std::move(holder)), journal_(std::move(journal)), adopts_(holder_ != "a") {}

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
  journal_ids_.clear();
  turn_due_ = false;
  if (adopts_ && journal_.empty()) {
    if (&world_.current() == this) Adopt();
    return;
  }
  for (const v1::Event& event : journal_) {
    Learn(event);
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
  world_.schedule.After(down_ms, [this] {
    if (!buried_) Resume();
  });
}

void Coordinator::Bury() {
  up_ = false;
  buried_ = true;
  ++process_;
  world_.Tell([] { return std::string("coordinator and its journal are lost"); });
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

void Coordinator::Adopt() {
  if (state_.created()) return;  // it was started again meanwhile, and has
  up_ = adopts_ = true;
  ++process_;
  uint64_t highest = 0;
  bool held = false;
  for (const auto& agent : world_.agents) {
    highest = std::max<uint64_t>(highest, agent->fence().claim.epoch());
    held = held || agent->fence().hold == operations::Fence::Hold::kHeld;
  }
  if (!held) return world_.NothingIsKept();
  fence_epoch_ = highest + 1;
  fenced_.assign(world_.agents.size(), false);
  reports_missing_ = 0;
  asked_for_reports_ = false;
  world_.checker.OnFencing(core::FirstSequence(fence_epoch_));
  world_.Tell([this] { return holder_ + " adopts, epoch " + std::to_string(fence_epoch_); });
  Fence();
}

void Coordinator::Fence() {
  for (size_t i = 0; i < fenced_.size(); ++i) {
    if (fenced_[i]) continue;
    RunMessage message;
    message.authority.set_rollout(world_.scenario.created.rollout());
    message.authority.set_epoch(fence_epoch_);
    message.authority.set_holder(holder_);
    message.id.set_rollout(world_.scenario.created.rollout());
    message.id.set_sequence(core::FirstSequence(fence_epoch_));
    message.id.set_attempt(1);
    v1::OperationSpec spec;
    spec.mutable_claim()->set_holder(holder_);
    message.spec = std::make_shared<const v1::OperationSpec>(std::move(spec));
    Agent& agent = *world_.agents[i];
    world_.network.Send(agent.node(), [this, i, &agent, message, process = process_] {
      agent.Run(message, [this, i, &agent, process](const v1::Outcome& outcome) {
        world_.network.Send(agent.node(), [this, i, process, outcome] {
          if (up_ && process == process_) Fenced(i, outcome);
        });
      });
    });
  }
  Later(kAskAgainMs, [this] {
    if (!asked_for_reports_) Fence();
  });
}

// Somebody else came in between: begun again, from above.
void Coordinator::Fenced(size_t node, const v1::Outcome& outcome) {
  if (asked_for_reports_) return;
  if (outcome.code() != v1::Outcome::SUCCEEDED) {
    if (outcome.reason().code() == v1::STALE_EPOCH) Adopt();
    return;
  }
  fenced_[node] = true;
  const auto servers = static_cast<ptrdiff_t>(world_.cluster.servers);
  if (std::all_of(fenced_.begin(), fenced_.begin() + servers, [](bool fenced) { return fenced; }))
    AskForReports();
}

void Coordinator::AskForReports() {
  const v1::Plan& plan = world_.scenario.created.plan();
  asked_for_reports_ = true;
  reports_missing_ = world_.agents.size();
  reports_.assign(world_.agents.size(), {});
  for (size_t i = 0; i < world_.agents.size(); ++i) {
    reports_[i].facts.set_name(plan.nodes(static_cast<int>(i)).name());
    const int node = static_cast<int>(i);
    world_.network.Send(node, [this, node, i, process = process_] {
      const Agent& agent = *world_.agents[i];
      if (!agent.up()) return;
      world_.network.Send(node, [this, i, process, report = agent.Report()] {
        if (up_ && process == process_) Reported(i, report);
      });
    });
  }
  Later(kReportTimeoutMs, [this] {
    if (reports_missing_ != 0) FinishAdoption();
  });
}

void Coordinator::Reported(size_t node, core::AgentReport report) {
  if (reports_missing_ == 0 || !reports_[node].facts.journal_id().empty()) return;
  reports_[node] = std::move(report);
  if (--reports_missing_ == 0) FinishAdoption();
}

void Coordinator::FinishAdoption() {
  reports_missing_ = 0;
  core::Adoption adoption = core::Adopt(world_.scenario.created, reports_, holder_, fence_epoch_ + 1);
  if (!adoption.refusals.empty()) return Later(kAskAgainMs, [this] { Adopt(); });  // the user tries again
  if (world_.mutation.adopts_forgetful) {
    for (v1::AdoptedNode& node : *adoption.adopted.mutable_nodes()) {
      node.set_found(v1::AdoptedNode::AS_PLANNED);
      node.set_cordoned_by_us(false);
    }
  }
  v1::Event created;
  *created.mutable_created() = world_.scenario.created;
  v1::Event adopted;
  *adopted.mutable_adopted() = std::move(adoption.adopted);
  Input(std::move(created));
  Input(std::move(adopted));
  Turn();
}

// As the real dispatcher does.
void Coordinator::Learn(const v1::Event& event) {
  if (event.has_created()) {
    for (const v1::PlannedNode& node : event.created().plan().nodes())
      journal_ids_[node.name()] = node.journal_id();
  } else if (event.has_adopted()) {
    for (const v1::AdoptedNode& node : event.adopted().nodes()) journal_ids_[node.node()] = node.journal_id();
  } else if (event.has_settled()) {
    const v1::OperationSettled& settled = event.settled();
    const auto issued = state_.open_operations.find(settled.sequence());
    if (issued == state_.open_operations.end()) return;
    const bool lost = settled.outcome().reason().code() == v1::LOST_OPERATION;
    if (lost || !settled.agent_journal_id().empty())
      journal_ids_[issued->second.asked_of()] = settled.agent_journal_id();
  }
}

std::vector<v1::Event> Coordinator::Decide() const {
  const Mutation& mutation = world_.mutation;
  std::vector<v1::Event> next;
  if (mutation.ignores_abort && state_.aborting) {
    core::State state = state_;
    state.aborting = false;
    next = core::Decide(state, mutation.rules);
  } else {
    next = core::Decide(state_, mutation.rules);
  }
  for (v1::Event& event : next) {
    if (!event.has_step_entered() || event.step_entered().step() != mutation.passes_over) continue;
    if (event.step_entered().because().code() == v1::REASON_UNSPECIFIED)
      event.mutable_step_entered()->set_step(static_cast<v1::Step>(mutation.passes_over + 1));
  }
  return next;
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
  event.set_unix_ms(world_.WallNow());
  Learn(event);
  const absl::Status applied = core::Apply(event, state_);
  if (!applied.ok()) world_.checker.Violate("an event does not fold: " + std::string(applied.message()));
  log.push_back(std::move(event));
}

void Coordinator::Turn() {
  turn_due_ = false;
  if (!up_ || frozen_ || state_.ended()) return;
  std::vector<v1::Event> log;
  for (v1::Event& event : std::exchange(inbox_, {})) {
    if (Awaited(event)) Fold(std::move(event), log);
  }
  if (log.empty()) return;
  const size_t inputs = log.size();
  for (int round = 0; !world_.checker.violated(); ++round) {
    std::vector<v1::Event> next = Decide();
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
  message.journal = journal_ids_[issued.asked_of()];
  Agent& agent = *world_.agents[state_.roster->index.at(issued.asked_of())];
  const int node = agent.node();
  world_.network.Send(node, [this, node, &agent, message, process = process_, sequence = issued.sequence()] {
    agent.Run(message, [this, node, &agent, process, sequence](const v1::Outcome& outcome) {
      v1::Event event;
      v1::OperationSettled& settled = *event.mutable_settled();
      settled.set_sequence(sequence);
      *settled.mutable_outcome() = outcome;
      const v1::ReasonCode why = outcome.reason().code();
      if (why == v1::LOST_OPERATION || why == v1::STALE_OPERATION) {
        settled.mutable_outcome()->set_code(v1::Outcome::UNKNOWN);  // it may have run
      } else if (outcome.code() != v1::Outcome::REFUSED) {
        settled.set_agent_journal_id(agent.journal_id());
      }
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
