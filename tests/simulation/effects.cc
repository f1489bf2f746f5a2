#include "tests/simulation/effects.h"

#include "agent/operations/fencing.h"
#include "common/reason.h"
#include "tests/simulation/world.h"

namespace k3saga::simulation {
namespace {

using operations::EffectResult;
using operations::Phase;
using operations::Record;
using operations::Verb;

EffectResult Failed(v1::ReasonCode code) { return EffectResult::Failed(MakeReason(code, "", "simulated")); }
EffectResult Refused(v1::ReasonCode code) { return EffectResult::Refused(MakeReason(code, "", "simulated")); }

int IndexOf(World& world, const std::string& name) {
  const auto& nodes = world.scenario.created.plan().nodes();
  for (int i = 0; i < nodes.size(); ++i) {
    if (nodes.Get(i).name() == name) return i;
  }
  return 0;
}

// The effects on one node, and of its agent on the cluster.
class Hands {
 public:
  Hands(World& world, int node, const Record& record)
      : world_(world),
        node_(node),
        record_(record),
        machine_(world.cluster.machines[static_cast<size_t>(node)]) {}

  std::optional<EffectResult> Do() {
    switch (record_.phase) {
      case Phase::kCheck:
        return Check();
      case Phase::kKeep:
        if (machine_.kept == Release::kNone) machine_.kept = machine_.file;
        return EffectResult::Done();
      case Phase::kPlace:
        machine_.file = Release::kNew;
        return EffectResult::Done();
      case Phase::kRunInstaller:
        if (!machine_.fate.bad_installer) return EffectResult::Done();
        world_.scenario.faults.Note(Fault::kInstallerFails);
        return Failed(v1::INSTALLER_FAILED);
      case Phase::kLastCheck:
      case Phase::kLastCheckAgain:
        return LastCheck();
      case Phase::kRestart:
        if (record_.verb == Verb::kRestart) return RestartAlone();
        return Restart();
      case Phase::kRestartOld:
        return Restart();
      case Phase::kHalt:
        return Halt();
      case Phase::kRestoreOnly:
        return RestoreFiles();
      case Phase::kSetAside:
        machine_.data = -1;
        return EffectResult::Done();
      case Phase::kReset:
        world_.checker.OnReset(node_);
        world_.cluster.Reset(node_);
        return EffectResult::Done();
      case Phase::kStart:
        if (!machine_.up) Start();
        return EffectResult::Done();
      case Phase::kJoin:
      case Phase::kJoinAgain:
        return Join();
      case Phase::kVerify:
      case Phase::kVerifyOld: {
        const std::optional<EffectResult> ready = AwaitReady();
        if (ready && record_.verb == Verb::kRestoreDatastore) world_.cluster.verified = true;
        return ready;
      }
      case Phase::kUndo:
        if (machine_.up && machine_.running == Release::kNew) return Refused(v1::WRONG_VERSION_RUNNING);
        return RestoreFiles();
      case Phase::kRestoreFiles:
        return RestoreFiles();
      case Phase::kDownload:
        return Download();
      case Phase::kDropStaged:
        machine_.staged = false;
        return EffectResult::Done();
      case Phase::kSnapshot:
        return Snapshot();
      case Phase::kCordon:
        return Cordon();
      case Phase::kUncordon:
        return Uncordon();
      case Phase::kDrain:
        return Drain();
      case Phase::kMoveLeader:
        return MoveLeader();
      case Phase::kAwaitNode:
        return AwaitNode();
      case Phase::kApplyManifests:
        return Remedy(true);
      case Phase::kRemoveManifests:
        return Remedy(false);
      default:
        return EffectResult::Done();
    }
  }

 private:
  EffectResult Check() {
    if (record_.verb == Verb::kPutBack) {
      if (machine_.kept == Release::kNone) return Refused(v1::NOT_KEPT);
      const bool back = machine_.up && machine_.ready && machine_.running == machine_.kept &&
                        machine_.file == machine_.kept;
      return back ? EffectResult::Already() : EffectResult::Done();
    }
    if (record_.verb != Verb::kInstall) return EffectResult::Done();
    const bool there =
        machine_.up && machine_.ready && machine_.running == Release::kNew && machine_.file == Release::kNew;
    if (there) return EffectResult::Already();
    return machine_.staged ? EffectResult::Done() : Refused(v1::NOT_STAGED);
  }

  bool RunsWhatIsInPlace() const { return machine_.up && machine_.running == machine_.file; }

  EffectResult LastCheck() {
    Cluster& cluster = world_.cluster;
    const operations::Fence& fence = world_.agents[static_cast<size_t>(node_)]->fence();
    if (world_.mutation.agent_skips_last_check) return EffectResult::Done();
    if (auto reason = operations::JudgeStillHeld(fence, record_)) return EffectResult::Refused(*reason);
    if (!machine_.server || !cluster.EtcdUp(node_)) return EffectResult::Done();
    const bool replaced = record_.verb == Verb::kInstall || machine_.touched_by == record_.id.sequence();
    if (replaced && RunsWhatIsInPlace()) return EffectResult::Done();
    const v1::LastCheck& check = record_.verb == Verb::kInstall ? record_.spec->install().last_check()
                                                                : record_.spec->put_back().last_check();
    if (cluster.leader() < 0) return Refused(v1::NO_LEADER);  // no member reads through a quorum
    if (check.refuse_if_leader() && cluster.leader() == node_) return Refused(v1::NODE_LEADS_ETCD);
    if (check.require_quorum_without_me() && !cluster.QuorumWithout(node_)) {
      return Refused(v1::QUORUM_WOULD_BE_LOST);
    }
    return EffectResult::Done();
  }

  EffectResult Restart() {
    if (RunsWhatIsInPlace() && (machine_.touched_by != 0 || record_.verb == Verb::kInstall)) {
      return EffectResult::Done();
    }
    world_.checker.OnStop(node_, record_);
    machine_.touched_by = record_.id.sequence();
    world_.cluster.Stop(node_);
    world_.cluster.Start(node_);
    if (machine_.running == Release::kNew && machine_.fate.bad_release)
      world_.scenario.faults.Note(Fault::kNeverReady);
    return EffectResult::Done();
  }

  EffectResult Halt() {
    if (world_.mutation.agent_does_not_halt) return EffectResult::Done();
    world_.cluster.Stop(node_);
    machine_.stopped = true;
    return EffectResult::Done();
  }

  void Start() {
    world_.checker.OnServerStart(node_);
    world_.cluster.Start(node_);
  }

  // A worker after the datastore came back; a server whose datastore stayed after all.
  EffectResult RestartAlone() {
    if (machine_.touched_by == record_.id.sequence() && machine_.up) return EffectResult::Done();
    machine_.touched_by = record_.id.sequence();
    world_.cluster.Stop(node_);
    world_.cluster.Start(node_);
    return EffectResult::Done();
  }

  std::optional<EffectResult> Join() {
    if (machine_.data != world_.cluster.generation || !machine_.up) {
      world_.checker.OnJoin(node_);
      machine_.data = world_.cluster.generation;
      if (machine_.up) world_.cluster.Stop(node_);
      Start();
    }
    return AwaitReady();
  }

  std::optional<EffectResult> AwaitReady() {
    if (!machine_.ready || machine_.running != machine_.file) return std::nullopt;
    return EffectResult::Done();
  }

  EffectResult RestoreFiles() {
    if (machine_.kept != Release::kNone && !world_.mutation.agent_keeps_nothing)
      machine_.file = machine_.kept;
    return EffectResult::Done();
  }

  EffectResult Download() {
    if (world_.Draw(Fault::kStageFails)) return Failed(v1::CHECKSUM_MISMATCH);
    machine_.staged = true;
    return EffectResult::Done();
  }

  std::optional<EffectResult> Snapshot() {
    if (!machine_.ready) return Failed(v1::SNAPSHOT_FAILED);
    world_.checker.OnBackup();
    EffectResult done = EffectResult::Done();
    done.details.mutable_backup()->set_id("b");
    return done;
  }

  // The Kubernetes API is asked through this server.
  bool Api() const { return machine_.ready; }
  Machine& About(const std::string& name) {
    return world_.cluster.machines[static_cast<size_t>(IndexOf(world_, name))];
  }

  EffectResult Cordon() {
    if (!Api()) return Failed(v1::API_NOT_READY);
    Machine& about = About(record_.spec->cordon().node());
    const bool theirs = about.unschedulable && !about.ours && !world_.mutation.agent_takes_foreign_cordons;
    EffectResult done = EffectResult::Done();
    done.details.mutable_cordon()->set_cordoned_before(theirs);
    if (theirs) return done;
    world_.checker.OnBegin(IndexOf(world_, record_.spec->cordon().node()), record_);
    about.unschedulable = about.ours = true;
    return done;
  }

  EffectResult Uncordon() {
    if (!Api()) return Failed(v1::API_NOT_READY);
    Machine& about = About(record_.spec->uncordon().node());
    if (about.ours || world_.mutation.agent_takes_foreign_cordons) about.unschedulable = about.ours = false;
    return EffectResult::Done();
  }

  std::optional<EffectResult> Drain() {
    if (!Api()) return Failed(v1::API_NOT_READY);
    if (About(record_.spec->drain().node()).fate.stuck_drain) {
      world_.scenario.faults.Note(Fault::kDrainBlocked);
      return Failed(v1::DRAIN_BLOCKED);
    }
    Machine& about = About(record_.spec->drain().node());
    const int64_t now = world_.schedule.now();
    if (about.drain_since == 0) about.drain_since = now;
    if (!world_.cluster.Evict(IndexOf(world_, record_.spec->drain().node()))) {
      world_.scenario.faults.Note(Fault::kBudgetWaits);
      const int64_t patience = 1000 * static_cast<int64_t>(record_.spec->drain().policy().timeout_seconds());
      if (now - about.drain_since < patience) return std::nullopt;
      about.drain_since = 0;
      return Failed(v1::DRAIN_BLOCKED);
    }
    about.drain_since = 0;
    return EffectResult::Done();
  }

  EffectResult Remedy(bool there) {
    if (!Api()) return Failed(v1::API_NOT_READY);
    world_.cluster.remedied = there;
    return EffectResult::Done();
  }

  EffectResult MoveLeader() {
    Cluster& cluster = world_.cluster;
    if (cluster.leader() != node_) return EffectResult::Done();
    for (const uint64_t member : record_.spec->move_leader().preferred_members()) {
      const int to = static_cast<int>(member) - 1;
      if (!cluster.EtcdUp(to)) continue;
      cluster.MoveLeader(to);
      return EffectResult::Done();
    }
    return Failed(v1::LEADER_MOVE_FAILED);
  }

  std::optional<EffectResult> AwaitNode() {
    if (!Api()) return Failed(v1::API_NOT_READY);
    const v1::AwaitNodeSpec& spec = record_.spec->await_node();
    const int about = IndexOf(world_, spec.node());
    const bool there = world_.cluster.ObjectReady(about) && About(spec.node()).up &&
                       Text(About(spec.node()).running) == spec.version();
    if (!there) return std::nullopt;
    return EffectResult::Done();
  }

  World& world_;
  const int node_;
  const Record& record_;
  Machine& machine_;
};

}  // namespace

int64_t DurationMs(World& world, Phase phase) {
  switch (phase) {
    case Phase::kDownload:
      return world.random.Between(500, 20'000);
    case Phase::kRunInstaller:
      return world.random.Between(300, 2000);
    case Phase::kSnapshot:
    case Phase::kDrain:
      return world.random.Between(200, 3000);
    default:
      return world.random.Between(5, 100);
  }
}

std::optional<EffectResult> Perform(World& world, int node, const Record& record) {
  return Hands(world, node, record).Do();
}

}  // namespace k3saga::simulation
