#include "tests/simulation/agent.h"

#include <algorithm>

#include "tests/simulation/effects.h"
#include "tests/simulation/world.h"

namespace k3saga::simulation {
namespace {

using operations::Admission;
using operations::EffectResult;
using operations::Phase;

constexpr int64_t kPollMs = 1500;
constexpr int64_t kStaleMs = 1500;

uint64_t KeyOf(const v1::OperationId& id) { return id.sequence() << 8 | id.attempt(); }

bool MayFailHere(Phase phase) {
  switch (phase) {
    case Phase::kClaim:
    case Phase::kReleaseClaim:
    case Phase::kLastCheck:
    case Phase::kLastCheckAgain:
    case Phase::kUndo:
    case Phase::kSettled:
      return false;
    default:
      return true;
  }
}

}  // namespace

Agent::Agent(World& world, int node) : world_(world), node_(node) {}

void Agent::Run(const RunMessage& message, Reply reply) {
  if (!up_) return;
  const Key key = KeyOf(message.id);
  auto found = journal_.find(key);
  operations::JournalView view;
  view.known = found != journal_.end() && !world_.mutation.agent_starts_twice;
  view.floor = floor_;
  view.lost = !message.journal.empty() && message.journal != journal_id_;
  for (const auto& [other, entry] : journal_) {
    if (!entry.record.settled() && other != key) view.running.push_back(entry.record.verb);
  }
  v1::Authority authority = message.authority;
  if (world_.mutation.agent_ignores_epochs) {
    authority.set_epoch(std::max(authority.epoch(), fence_.claim.epoch()));
    authority.set_holder(authority.epoch() == fence_.claim.epoch() ? fence_.claim.holder()
                                                                   : authority.holder());
  }
  const Admission admission =
      operations::Admit(fence_, view, authority, message.id, *message.spec, world_.WallNow());
  if (admission.kind == Admission::Kind::kRefuse) {
    v1::Outcome outcome;
    outcome.set_code(v1::Outcome::REFUSED);
    *outcome.mutable_reason() = admission.reason;
    return reply(outcome);
  }
  fence_ = admission.fence;
  if (admission.kind == Admission::Kind::kStart) {
    world_.checker.OnAccepted(node_, message, found != journal_.end() && found->second.alive);
    Entry fresh;
    fresh.record = operations::NewRecord(message.id, message.authority, message.spec);
    found = journal_.insert_or_assign(key, std::move(fresh)).first;
    found->second.watchers.push_back(std::move(reply));
    return StartProcess(key, found->second);
  }
  if (found->second.record.settled()) return reply(found->second.record.outcome);
  found->second.watchers.push_back(std::move(reply));
}

void Agent::StartProcess(Key key, Entry& entry) {
  entry.process = ++processes_;
  entry.alive = true;
  operations::Begin(entry.record);
  entry.deadline =
      world_.schedule.now() + 1000 * static_cast<int64_t>(operations::BudgetSeconds(entry.record));
  NextPhase(key, entry);
}

void Agent::NextPhase(Key key, Entry& entry) {
  if (entry.record.settled()) return Finish(entry);
  int64_t duration = DurationMs(world_, entry.record.phase);
  if (MayFailHere(entry.record.phase) && world_.Draw(Fault::kEffectHangs)) duration = 10'000'000;
  const int64_t when = std::min(world_.schedule.now() + duration, entry.deadline);
  world_.schedule.At(when, [this, key, process = entry.process] { OnEffect(key, process); });
}

void Agent::OnEffect(Key key, uint32_t process) {
  const auto found = journal_.find(key);
  if (found == journal_.end() || found->second.process != process || !found->second.alive) return;
  Entry& entry = found->second;
  operations::Record& record = entry.record;
  const bool turned = record.turned;
  const int64_t now = world_.schedule.now();
  if (now >= entry.deadline) {
    operations::PassDeadline(record);
  } else {
    std::optional<EffectResult> result;
    if (MayFailHere(record.phase) && world_.Draw(Fault::kEffectFails)) {
      result = EffectResult::Failed({});
      result->reason.set_code(v1::LOCAL_FAILURE);
    } else {
      result = Perform(world_, node_, record);
    }
    if (!result) {
      world_.schedule.At(std::min(now + kPollMs, entry.deadline),
                         [this, key, process] { OnEffect(key, process); });
      return;
    }
    if (world_.Draw(Fault::kKilledAfterEffect)) {
      if (operations::RunsOutsideAgent(record.verb)) return KillOperations();
      return Kill(world_.random.Between(500, 8000));
    }
    operations::Advance(record, *result);
    const bool may_die = operations::RunsOutsideAgent(record.verb) && !record.settled();
    if (may_die && world_.Draw(Fault::kOperationKilled)) return KillOperations();
  }
  if (record.turned && !turned) {
    entry.deadline = now + 1000 * static_cast<int64_t>(operations::BudgetSeconds(record));
  }
  NextPhase(key, entry);
}

void Agent::Finish(Entry& entry) {
  entry.alive = false;
  Machine& machine = world_.cluster.machines[static_cast<size_t>(node_)];
  if (machine.touched_by == entry.record.id.sequence()) machine.touched_by = 0;
  for (const Reply& reply : entry.watchers) reply(entry.record.outcome);
  entry.watchers.clear();
}

void Agent::KillEntry(Entry& entry) {
  entry.alive = false;
  entry.process = ++processes_;
}

void Agent::Kill(int64_t down_ms) {
  if (!up_) return;
  up_ = false;
  world_.Tell([&] { return "agent " + std::to_string(node_) + " dies"; });
  if (world_.mutation.agent_forgets_journal) {
    for (auto& [key, entry] : journal_) KillEntry(entry);
    journal_.clear();
  }
  for (auto& [key, entry] : journal_) {
    entry.watchers.clear();
    if (entry.alive && !operations::RunsOutsideAgent(entry.record.verb)) KillEntry(entry);
  }
  world_.schedule.After(down_ms, [this] { Restart(); });
}

void Agent::Restart() {
  up_ = true;
  if (world_.Draw(Fault::kJournalPruned)) Prune();
  for (auto& [key, entry] : journal_) {
    if (!entry.record.settled() && !entry.alive) StartProcess(key, entry);
  }
}

void Agent::KillOperations() {
  for (auto& [key, entry] : journal_) {
    if (!entry.alive || !operations::RunsOutsideAgent(entry.record.verb)) continue;
    KillEntry(entry);
    world_.schedule.After(world_.random.Between(500, 3000), [this, key = key] {
      const auto found = journal_.find(key);
      const bool waits = found != journal_.end() && !found->second.record.settled() && !found->second.alive;
      if (up_ && waits) StartProcess(key, found->second);
    });
  }
}

void Agent::LoseJournal() {
  world_.cluster.machines[static_cast<size_t>(node_)].touched_by = 0;  // what touched it is gone with it
  for (auto& [key, entry] : journal_) KillEntry(entry);
  journal_.clear();
  fence_ = {};
  floor_ = 0;
  journal_id_ = std::to_string(std::stoi(journal_id_) + 1);
}

void Agent::Prune() {
  if (fence_.hold == operations::Fence::Hold::kHeld) return;
  for (auto entry = journal_.begin(); entry != journal_.end();) {
    if (!entry->second.record.settled()) {
      ++entry;
      continue;
    }
    floor_ = std::max(floor_, entry->second.record.id.sequence());
    entry = journal_.erase(entry);
  }
}

core::AgentReport Agent::Report() const {
  const Machine& machine = world_.cluster.machines[static_cast<size_t>(node_)];
  core::AgentReport report;
  v1::NodeFacts& facts = report.facts;
  facts.set_name(world_.scenario.created.plan().nodes(node_).name());
  facts.set_journal_id(journal_id_);
  *facts.mutable_claim() = fence_.claim;
  if (machine.up) facts.mutable_k3s()->set_running_version(Text(machine.running));
  facts.mutable_k3s()->set_binary_version(Text(machine.file));
  if (machine.staged) facts.mutable_k3s()->set_staged_version(kNewVersion);
  if (machine.server && machine.ready) ShowNodes(*facts.mutable_nodes());
  for (const auto& [key, entry] : journal_) {
    const operations::Record& record = entry.record;
    report.operations.push_back({record.id, *record.spec, record.settled() ? record.outcome : v1::Outcome()});
  }
  return report;
}

void Agent::ShowNodes(google::protobuf::RepeatedPtrField<v1::KubeNode>& nodes) const {
  const v1::Plan& plan = world_.scenario.created.plan();
  for (int i = 0; i < plan.nodes_size(); ++i) {
    const Machine& other = world_.cluster.machines[static_cast<size_t>(i)];
    v1::KubeNode& object = *nodes.Add();
    object.set_name(plan.nodes(i).name());
    object.set_ready(world_.cluster.ObjectReady(i));
    object.set_kubelet_version(Text(other.running));
    object.set_unschedulable(other.unschedulable);
    if (other.ours) object.set_cordoned_by(world_.scenario.created.rollout());
  }
}

v1::ServerProof Agent::Probe(bool with_nodes) const {
  const Cluster& cluster = world_.cluster;
  const Machine& machine = cluster.machines[static_cast<size_t>(node_)];
  const v1::Plan& plan = world_.scenario.created.plan();
  v1::ServerProof proof;
  proof.set_node(plan.nodes(node_).name());
  proof.set_reachable(true);
  // A look of a moment ago may still show as ready what is not any more.
  const int64_t now = world_.schedule.now();
  const bool just_left = !machine.ready && now - machine.unready_since <= kStaleMs;
  const bool stale = just_left && world_.Draw(Fault::kStaleHealth);
  proof.set_ready(machine.ready || stale);
  if (proof.ready()) {
    const int64_t seen = stale ? machine.unready_since : now;
    proof.set_ready_for_ms(static_cast<uint64_t>(std::max<int64_t>(0, seen - machine.ready_since)));
  }
  if (machine.up) {
    proof.set_main_pid(machine.pid);
    proof.set_main_start_ticks(static_cast<uint64_t>(machine.started + 1));
    proof.set_running_version(Text(machine.running));
  }
  // Members of a restored cluster have other ids.
  const auto member_id = [&](int node) {
    return cluster.etcd() ? static_cast<uint64_t>(100 * cluster.generation + node + 1) : 0;
  };
  proof.set_member_id(member_id(node_));
  if (cluster.EtcdUp(node_)) {
    proof.set_etcd_serving(cluster.Quorum() && cluster.leader() >= 0);
    proof.set_leader_id(static_cast<uint64_t>(cluster.leader() + 1));
    proof.set_applied_index(1);
    for (int i = 0; i < cluster.servers; ++i) {
      if (cluster.Member(i)) proof.add_members()->set_id(member_id(i));
    }
    if (machine.alarm) proof.add_alarms("NOSPACE");
  }
  proof.set_leads_control_loops(proof.ready() && cluster.loops() == node_);
  if (with_nodes) ShowNodes(*proof.mutable_nodes());
  return proof;
}

}  // namespace k3saga::simulation
