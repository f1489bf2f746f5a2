#include "coordinator/core/asks.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <utility>

#include "coordinator/core/pick.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

constexpr uint32_t kShort = 60;
constexpr uint32_t kClaimSeconds = 20;
constexpr uint32_t kStageSeconds = 1800;
constexpr uint32_t kBackupSeconds = 600;
constexpr uint32_t kMargin = 60;  // for the way there and back, above what the agent gives itself
constexpr uint32_t kDefaultHealthSeconds = 300;
constexpr uint32_t kDefaultDrainSeconds = 300;
constexpr uint32_t kStopSeconds = 120;
constexpr uint32_t kVeleroSeconds = 1800;

void AskNode(Moves& moves, const NodeState& node, v1::OperationSpec spec, uint32_t deadline_seconds) {
  const uint32_t attempt = node.attempts[spec.verb_case()] + 1u;
  moves.Issue(node.name(), node.name(), attempt, std::move(spec), deadline_seconds);
}

void AskAnyServer(Moves& moves, const NodeState& about, v1::OperationSpec spec, uint32_t deadline_seconds) {
  const uint32_t attempt = about.attempts[spec.verb_case()] + 1u;
  moves.Issue(about.name(), PickServer(moves.state, about).name(), attempt, std::move(spec),
              deadline_seconds);
}

void AskAboutRemedies(Moves& moves, v1::OperationSpec spec) {
  const RemedyState& remedy = moves.state.remedy;
  const uint32_t attempt = remedy.verb == spec.verb_case() ? remedy.attempts + 1 : 1;
  const std::string& server = PickServer(moves.state, moves.state.nodes.front()).name();
  moves.Issue(server, server, attempt, std::move(spec), kShort);
}

// An install may need its whole time forward and the same again for the way back.
uint32_t TouchDeadline(uint32_t health_seconds) { return 2 * health_seconds + 2 * kMargin; }

v1::LastCheck LastCheckOf(const State& state, const NodeState& node) {
  v1::LastCheck check;
  if (!node.server || node.plan->member_id() == 0) return check;
  const uint32_t voters = Voters(state);
  check.set_require_quorum_without_me(!(state.plan().consent_outage() && voters <= 2));
  check.set_refuse_if_leader(voters > 1);
  for (const v1::EtcdMember& member : state.plan().members()) check.add_members(member.id());
  return check;
}

bool MayPutBackAlone(const State& state, const NodeState& node) {
  const v1::Policies& policies = state.policies();
  return (node.server ? policies.servers().on_failure() : policies.workers().on_failure()) ==
         v1::ON_FAILURE_PUT_BACK;
}

}  // namespace

uint32_t HealthTimeoutSeconds(const State& state, const NodeState& node) {
  const uint32_t seconds = node.server ? state.policies().servers().health_timeout_seconds()
                                       : state.policies().workers().health_timeout_seconds();
  return seconds == 0 ? kDefaultHealthSeconds : seconds;
}

const v1::DrainPolicy& DrainPolicyOf(const State& state, const NodeState& node) {
  return node.server ? state.policies().servers().drain() : state.policies().workers().drain();
}

bool CordonPolicyOf(const State& state, const NodeState& node) {
  return node.server ? state.policies().servers().cordon() : state.policies().workers().cordon();
}

void AskClaim(Moves& moves, const NodeState& node) {
  v1::OperationSpec spec;
  spec.mutable_claim()->set_holder(moves.state.holder);  // the driver adds RolloutCreated
  AskNode(moves, node, std::move(spec), kClaimSeconds);
}

void AskReleaseClaim(Moves& moves, const NodeState& node, bool confirm) {
  v1::OperationSpec spec;
  spec.mutable_release_claim()->set_confirm(confirm);
  AskNode(moves, node, std::move(spec), kClaimSeconds);
}

void AskStage(Moves& moves, const NodeState& node) {
  v1::OperationSpec spec;
  *spec.mutable_stage()->mutable_release() = moves.state.plan().release();
  AskNode(moves, node, std::move(spec), kStageSeconds);
}

void AskDropStaged(Moves& moves, const NodeState& node) {
  v1::OperationSpec spec;
  spec.mutable_drop_staged()->set_version(moves.state.plan().to_version());
  AskNode(moves, node, std::move(spec), kShort);
}

void AskBackup(Moves& moves, const NodeState& server) {
  const State& state = moves.state;
  v1::OperationSpec spec;
  v1::BackupSpec& backup = *spec.mutable_backup();
  backup.set_name(absl::StrCat("k3saga-", state.rollout()));
  backup.set_datastore(state.plan().datastore());
  backup.set_keep(state.policies().backup().keep());
  moves.Issue(server.name(), server.name(), state.backup_attempts + 1, std::move(spec), kBackupSeconds);
}

void AskCordon(Moves& moves, const NodeState& node) {
  v1::OperationSpec spec;
  spec.mutable_cordon()->set_node(node.name());
  AskAnyServer(moves, node, std::move(spec), kShort);
}

void AskDrain(Moves& moves, const NodeState& node) {
  const v1::DrainPolicy& policy = DrainPolicyOf(moves.state, node);
  const uint32_t seconds = policy.timeout_seconds() == 0 ? kDefaultDrainSeconds : policy.timeout_seconds();
  v1::OperationSpec spec;
  spec.mutable_drain()->set_node(node.name());
  *spec.mutable_drain()->mutable_policy() = policy;
  AskAnyServer(moves, node, std::move(spec), seconds + kMargin);
}

void AskUncordon(Moves& moves, const NodeState& node) {
  v1::OperationSpec spec;
  spec.mutable_uncordon()->set_node(node.name());
  AskAnyServer(moves, node, std::move(spec), kShort);
}

void AskMoveLeader(Moves& moves, const NodeState& leader) {
  const State& state = moves.state;
  v1::OperationSpec spec;
  v1::MoveLeaderSpec& move = *spec.mutable_move_leader();
  // Those that are done first: they will not be stopped again.
  for (const bool moved : {true, false}) {
    for (uint32_t i = 0; i < state.servers(); ++i) {
      const NodeState& other = state.nodes[i];
      if (other.index == leader.index || other.plan->member_id() == 0 || other.moved() != moved) continue;
      if (TroubleOf(state, other).empty()) move.add_preferred_members(other.plan->member_id());
    }
  }
  AskNode(moves, leader, std::move(spec), kShort);
}

void AskInstall(Moves& moves, const NodeState& node) {
  const State& state = moves.state;
  const v1::Release& release = state.plan().release();
  const v1::Policies& policies = state.policies();
  const uint32_t seconds = HealthTimeoutSeconds(state, node);
  v1::OperationSpec spec;
  v1::InstallSpec& install = *spec.mutable_install();
  install.set_version(state.plan().to_version());
  *install.mutable_installer() = release.installer();
  install.set_deadline_seconds(seconds);
  install.set_at_deadline(MayPutBackAlone(state, node) ? v1::InstallSpec::PUT_BACK : v1::InstallSpec::LEAVE);
  *install.mutable_last_check() = LastCheckOf(state, node);
  install.set_reboot(node.server ? policies.servers().reboot() : policies.workers().reboot());
  install.set_images(release.images());
  install.set_allow_changed_configuration(release.allow_changed_configuration());
  AskNode(moves, node, std::move(spec), TouchDeadline(seconds));
}

void AskPutBack(Moves& moves, const NodeState& node) {
  const uint32_t seconds = HealthTimeoutSeconds(moves.state, node);
  v1::OperationSpec spec;
  v1::PutBackSpec& put_back = *spec.mutable_put_back();
  put_back.set_rollout(moves.state.plan().undoes());
  put_back.set_deadline_seconds(seconds);
  put_back.set_leave_stopped(node.stopped);
  if (!node.stopped) *put_back.mutable_last_check() = LastCheckOf(moves.state, node);
  AskNode(moves, node, std::move(spec), TouchDeadline(seconds));
}

void AskApplyRemedies(Moves& moves) {
  v1::OperationSpec spec;
  for (const v1::Remedy& remedy : moves.state.plan().remedies()) {
    spec.mutable_apply_manifests()->mutable_manifests()->MergeFrom(remedy.manifests());
  }
  AskAboutRemedies(moves, std::move(spec));
}

void AskRemoveRemedies(Moves& moves) {
  v1::OperationSpec spec;
  for (const v1::Remedy& remedy : moves.state.plan().remedies()) {
    spec.mutable_remove_manifests()->mutable_manifests()->MergeFrom(remedy.manifests());
  }
  AskAboutRemedies(moves, std::move(spec));
}

void AskAwait(Moves& moves, const NodeState& node) {
  const uint32_t seconds = HealthTimeoutSeconds(moves.state, node);
  v1::OperationSpec spec;
  v1::AwaitNodeSpec& await = *spec.mutable_await_node();
  await.set_node(node.name());
  await.set_version(TargetOf(moves.state, node));
  await.set_deadline_seconds(seconds);
  // A second install may find what the first one's kubelet said.
  await.set_version_is_news(!node.going_back && node.installs == 1 &&
                            node.plan->from_version() != moves.state.plan().to_version());
  AskAnyServer(moves, node, std::move(spec), seconds + kMargin);
}

void AskStop(Moves& moves, const NodeState& server) {
  v1::OperationSpec spec;
  spec.mutable_stop()->set_deadline_seconds(kStopSeconds);
  AskNode(moves, server, std::move(spec), kStopSeconds + kMargin);
}

void AskRestoreDatastore(Moves& moves, const NodeState& server, const v1::BackupResult& backup) {
  const uint32_t seconds = HealthTimeoutSeconds(moves.state, server);
  v1::OperationSpec spec;
  v1::RestoreDatastoreSpec& restore = *spec.mutable_restore_datastore();
  restore.set_backup_id(backup.id());
  restore.set_sha256(backup.sha256());
  restore.set_deadline_seconds(seconds);
  AskNode(moves, server, std::move(spec), TouchDeadline(seconds));
}

void AskRejoin(Moves& moves, const NodeState& peer, const NodeState& restored) {
  const uint32_t seconds = HealthTimeoutSeconds(moves.state, peer);
  v1::OperationSpec spec;
  spec.mutable_rejoin()->set_deadline_seconds(seconds);
  spec.mutable_rejoin()->set_server_url(restored.plan->api_url());
  AskNode(moves, peer, std::move(spec), TouchDeadline(seconds));
}

void AskRestart(Moves& moves, const NodeState& node) {
  const uint32_t seconds = HealthTimeoutSeconds(moves.state, node);
  v1::OperationSpec spec;
  spec.mutable_restart()->set_deadline_seconds(seconds);
  AskNode(moves, node, std::move(spec), TouchDeadline(seconds));
}

void AskVeleroBackup(Moves& moves, const NodeState& about) {
  const v1::Plan& plan = moves.state.plan();
  v1::OperationSpec spec;
  v1::VeleroBackupSpec& backup = *spec.mutable_velero_backup();
  // A name of the Kubernetes API: no "+" in it.
  backup.set_name("pre-upgrade-" + absl::StrReplaceAll(plan.to_version(), {{"+", "-"}}));
  *backup.mutable_namespaces() = plan.policies().backup().velero_namespaces();
  backup.set_deadline_seconds(kVeleroSeconds);
  AskAnyServer(moves, about, std::move(spec), kVeleroSeconds + kMargin);
}

void AskVeleroRestore(Moves& moves, const NodeState& restored, const std::string& backup) {
  v1::OperationSpec spec;
  spec.mutable_velero_restore()->set_backup(backup);
  spec.mutable_velero_restore()->set_deadline_seconds(kVeleroSeconds);
  AskAnyServer(moves, restored, std::move(spec), kVeleroSeconds + kMargin);
}

}  // namespace k3saga::core
