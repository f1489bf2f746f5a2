#include "coordinator/core/way_back.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

#include "common/reason.h"
#include "common/version.h"
#include "coordinator/core/planner/agent_checks.h"
#include "coordinator/core/planner/survey.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

constexpr Check kEveryWay[] = {CheckProtocols, CheckDistribution, CheckLayout, CheckSameCluster, CheckHeld};
// Where the datastore goes, nothing in it has to work before.
constexpr Check kByBinaries[] = {CheckReached, CheckNodeObjects, CheckMembers, CheckConsent};

std::optional<Version> Parse(const std::string& text) {
  const absl::StatusOr<Version> version = Version::Parse(text);
  if (!version.ok()) return std::nullopt;
  return *version;
}

const v1::KeptFiles* KeptBy(const v1::NodeFacts& facts, const std::string& rollout) {
  for (const v1::KeptFiles& kept : facts.kept()) {
    if (kept.rollout() == rollout) return &kept;
  }
  return nullptr;
}

struct Found {
  const Surveyed* node = nullptr;
  const v1::StoredBackup* backup = nullptr;
};

Found FindBackup(const Survey& survey, const std::string& id) {
  for (const Surveyed& node : survey.nodes) {
    if (!node.server() || !node.reached()) continue;
    for (const v1::StoredBackup& backup : node.facts->backups()) {
      if (backup.id() == id) return {&node, &backup};
    }
  }
  return {};
}

std::string VersionText(const Surveyed& node) { return node.version ? node.version->ToString() : ""; }

v1::PlannedNode* Planned(v1::Plan& plan, const std::string& name) {
  for (v1::PlannedNode& node : *plan.mutable_nodes()) {
    if (node.name() == name) return &node;
  }
  return nullptr;
}

// What it is to run; nothing is swapped where that is what it runs.
void SetGoal(v1::PlannedNode& planned, const std::string& version, bool goes_back) {
  planned.set_to_version(version);
  planned.set_at_target(!goes_back);
}

// Servers have to be stopped, so that each must answer; a worker that does not is left out.
void LeaveOutWorkers(const Survey& survey, v1::Plan& plan, Findings& findings) {
  for (const Surveyed& node : survey.nodes) {
    if (node.reached()) continue;
    const std::string why =
        node.unreachable.detail().empty() ? "its agent does not answer" : node.unreachable.detail();
    if (node.server()) {
      findings.Refuse(
          v1::NODE_UNREACHABLE, node.name(), why,
          "every server has to be stopped: start k3saga-agent there, or take the node out of cluster.yaml if "
          "its machine is gone");
      continue;
    }
    findings.Notice(v1::NODE_UNREACHABLE, node.name(), why + "; it is left out",
                    "restart its k3s once it is back, at a version that is not newer than the servers'");
    auto& nodes = *plan.mutable_nodes();
    nodes.erase(std::remove_if(nodes.begin(), nodes.end(),
                               [&](const v1::PlannedNode& each) { return each.name() == node.name(); }),
                nodes.end());
  }
}

std::optional<Version> OldestServerGoal(const v1::Plan& plan) {
  std::optional<Version> oldest;
  for (const v1::PlannedNode& node : plan.nodes()) {
    const std::optional<Version> goal = Parse(node.to_version());
    if (node.role() == v1::ROLE_SERVER && goal && (!oldest || *goal < *oldest)) oldest = goal;
  }
  return oldest;
}

void CheckWorkersNotNewer(const v1::Plan& plan, Findings& findings) {
  const std::optional<Version> oldest = OldestServerGoal(plan);
  for (const v1::PlannedNode& node : plan.nodes()) {
    const std::optional<Version> goal = Parse(node.to_version());
    if (node.role() == v1::ROLE_SERVER || !oldest || !goal || *goal <= *oldest) continue;
    findings.Refuse(v1::WORKER_NEWER_THAN_SERVERS, node.name(),
                    absl::StrCat("it would stay at ", node.to_version(), " while the servers go back to ",
                                 oldest->ToString()),
                    "install the servers' version there by hand, or take the node out of the cluster");
  }
}

// What the backup says of itself, against the servers that would run on it.
void CheckBackupFits(const Survey& survey, const v1::Plan& plan, const Found& found, Findings& findings) {
  const v1::StoredBackup& backup = *found.backup;
  const std::string& cluster = found.node->facts->k3s().cluster_id();
  if (!backup.cluster_id().empty() && !cluster.empty() && backup.cluster_id() != cluster) {
    findings.Refuse(v1::BACKUP_UNUSABLE, backup.id(), "it was taken of another cluster",
                    "choose one of this cluster: k3saga backups");
  }
  if (backup.sha256().empty() || backup.bytes() == 0) {
    findings.Refuse(v1::BACKUP_UNUSABLE, backup.id(), "its manifest names no snapshot that could be checked",
                    "choose another one: k3saga backups");
  }
  if (survey.datastore == v1::DATASTORE_EXTERNAL) {
    findings.Refuse(v1::BACKUP_UNUSABLE, backup.id(), "an external datastore comes back by its own means",
                    "restore the database itself while every k3s server is stopped");
  } else if (backup.datastore() != v1::DATASTORE_UNSPECIFIED &&
             survey.datastore != v1::DATASTORE_UNSPECIFIED && backup.datastore() != survey.datastore) {
    findings.Refuse(v1::BACKUP_UNUSABLE, backup.id(), "it is of another kind of datastore than the cluster's",
                    "choose another one: k3saga backups");
  }
  const std::optional<Version> taken = Parse(backup.version());
  for (const v1::PlannedNode& node : plan.nodes()) {
    const std::optional<Version> goal = Parse(node.to_version());
    if (node.role() != v1::ROLE_SERVER || !taken || !goal) continue;
    if (*goal < *taken && !goal->SameMinor(*taken)) {
      findings.Refuse(v1::BACKUP_UNUSABLE, node.name(),
                      absl::StrCat("it runs ", node.to_version(), "; the backup is of ", backup.version(),
                                   ", and an older k3s cannot read a newer datastore"),
                      absl::StrCat("upgrade to ", backup.version(), " first"));
    } else if (!goal->SameMinor(*taken)) {
      findings.Notice(v1::NOT_KEPT, node.name(),
                      absl::StrCat("it stays at ", node.to_version(), ", which is newer than the backup's ",
                                   backup.version(), ": the older files are not kept there"));
    }
  }
}

void SetSource(const Found& found, v1::Plan& plan) {
  const v1::StoredBackup& backup = *found.backup;
  v1::BackupResult& from = *plan.mutable_restore_from();
  from.set_id(backup.id());
  from.set_path(backup.path());
  from.set_bytes(backup.bytes());
  from.set_sha256(backup.sha256());
  from.set_version(backup.version());
  from.set_taken_unix_ms(backup.taken_unix_ms());
  plan.set_restore_on(found.node->name());
  plan.set_restore_taken_unix_ms(backup.taken_unix_ms());
  plan.set_consent_outage(true);  // every server is stopped: whoever agrees to the loss agrees to that
}

void CheckLossIsAgreed(const PlanRequest& request, Findings& findings) {
  if (!findings.refusals.empty() || request.consent_data_loss) return;
  findings.Refuse(
      v1::DATA_LOSS, request.cluster,
      "the datastore goes back to the backup: what was written since is lost, and the API is away meanwhile",
      "agree to that when asked, or with --accept-data-loss");
}

PlanOutcome Finish(v1::Plan plan, Findings findings) {
  PlanOutcome outcome;
  outcome.plan = std::move(plan);
  outcome.refusals = std::move(findings.refusals);
  for (v1::Reason& notice : findings.notices) *outcome.plan.add_notices() = std::move(notice);
  outcome.kind = outcome.refusals.empty() ? PlanOutcome::Kind::kPlan : PlanOutcome::Kind::kRefused;
  return outcome;
}

// What the node goes back to in a rollback, or why it cannot.
void PlanReturn(const Undone& undone, const Surveyed& node, v1::Plan& plan, Findings& findings) {
  v1::PlannedNode* planned = Planned(plan, node.name());
  if (planned == nullptr || !node.reached()) return;
  const std::string runs = VersionText(node);
  const auto moved = undone.moved.find(node.name());
  SetGoal(*planned, runs, false);
  if (moved == undone.moved.end()) return;
  const v1::PlannedNode* before = nullptr;
  for (const v1::PlannedNode& each : undone.plan.nodes()) {
    if (each.name() == node.name()) before = &each;
  }
  if (before == nullptr || runs == before->from_version()) return;  // went back meanwhile
  if (!runs.empty() && runs != undone.plan.to_version()) {
    findings.Refuse(v1::WRONG_VERSION_RUNNING, node.name(),
                    absl::StrCat("it runs ", runs, "; rollout ", undone.rollout, " brought it to ",
                                 undone.plan.to_version()),
                    "undo what came after it first: k3saga history");
    return;
  }
  if (KeptBy(*node.facts, undone.rollout) == nullptr) {
    findings.Refuse(
        v1::NOT_KEPT, node.name(),
        absl::StrCat("the files that rollout ", undone.rollout, " replaced are not kept there any more"),
        absl::StrCat("install ", before->from_version(), " on this node by hand"));
    return;
  }
  planned->set_moved_as(moved->second);
  SetGoal(*planned, before->from_version(), true);
}

bool NothingGoesBack(const v1::Plan& plan) {
  return std::all_of(plan.nodes().begin(), plan.nodes().end(),
                     [](const v1::PlannedNode& node) { return node.at_target(); });
}

void PlanDatastoreOf(const Undone& undone, const Survey& survey, v1::Plan& plan, Findings& findings) {
  Found found;
  for (const Backup& backup : undone.backups) {
    if (found.backup == nullptr) found = FindBackup(survey, backup.result.id());
  }
  if (found.backup == nullptr) {
    findings.Refuse(
        v1::BACKUP_UNUSABLE, undone.rollout,
        undone.backups.empty()
            ? "it took no backup, and binaries alone do not lead back over this step"
            : absl::StrCat("no server has its backup ", undone.backups.front().result.id(), " any more"),
        "choose another backup: k3saga backups, then k3saga restore --backup ID");
    return;
  }
  SetSource(found, plan);
  plan.set_velero_backup(undone.velero_backup);
  CheckBackupFits(survey, plan, found, findings);
}

// The rollout that kept files of this version on as many nodes as possible, the backup's own before all
// others.
std::string KeeperOf(const Survey& survey, const v1::StoredBackup& backup) {
  std::map<std::string, int> nodes;
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached() || VersionText(node) == backup.version()) continue;
    for (const v1::KeptFiles& kept : node.facts->kept()) {
      if (kept.version() == backup.version()) ++nodes[kept.rollout()];
    }
  }
  if (nodes.count(backup.rollout()) != 0) return backup.rollout();
  const auto most = std::max_element(nodes.begin(), nodes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == nodes.end() ? "" : most->first;
}

void PlanRelease(const v1::StoredBackup& backup, const Surveyed& node, v1::Plan& plan) {
  v1::PlannedNode* planned = Planned(plan, node.name());
  if (planned == nullptr || !node.reached()) return;
  const std::string runs = VersionText(node);
  const v1::KeptFiles* kept = plan.undoes().empty() ? nullptr : KeptBy(*node.facts, plan.undoes());
  const bool goes_back = runs != backup.version() && kept != nullptr && kept->version() == backup.version();
  SetGoal(*planned, goes_back ? backup.version() : runs, goes_back);
}

}  // namespace

Undone UndoneOf(const State& state) {
  Undone undone;
  undone.rollout = state.rollout();
  undone.plan = state.plan();
  undone.past_return = state.past_return;
  undone.backups = state.backups;
  undone.velero_backup = state.velero_backup;
  for (const NodeState& node : state.nodes) {
    if (!IsWayBack(state.plan()) && WantsPutBack(state, node)) undone.moved[node.name()] = node.touch_order;
  }
  return undone;
}

PlanOutcome MakeRollbackPlan(const PlanRequest& request, const Undone& undone,
                             const std::vector<v1::NodeFacts>& facts) {
  PlanRequest back = request;
  back.release = undone.plan.release();
  back.release.set_version(undone.plan.from_version());
  const Survey survey = MakeSurvey(back, facts);
  v1::Plan plan = BasePlan(survey);
  Findings findings;
  plan.set_kind(v1::Plan::ROLLBACK);
  plan.set_undoes(undone.rollout);
  plan.set_from_version(undone.plan.to_version());
  for (const Surveyed& node : survey.nodes) PlanReturn(undone, node, plan, findings);
  if (findings.refusals.empty() && (undone.moved.empty() || NothingGoesBack(plan))) {
    PlanOutcome nothing;
    nothing.kind = PlanOutcome::Kind::kNothingToDo;
    nothing.plan = std::move(plan);
    return nothing;
  }
  if (undone.past_return) {
    LeaveOutWorkers(survey, plan, findings);
    PlanDatastoreOf(undone, survey, plan, findings);
  } else {
    for (const Check check : kByBinaries) check(survey, findings);
  }
  for (const Check check : kEveryWay) check(survey, findings);
  CheckVerbs(survey, plan, findings);
  CheckWorkersNotNewer(plan, findings);
  if (undone.past_return) CheckLossIsAgreed(request, findings);
  return Finish(std::move(plan), std::move(findings));
}

PlanOutcome MakeRestorePlan(const PlanRequest& request, const RestoreWish& wish,
                            const std::vector<v1::NodeFacts>& facts) {
  PlanRequest back = request;
  Survey survey = MakeSurvey(back, facts);
  const Found found = FindBackup(survey, wish.backup_id);
  if (found.backup != nullptr) {
    back.release.set_version(found.backup->version());
    survey = MakeSurvey(back, facts);
  }
  v1::Plan plan = BasePlan(survey);
  Findings findings;
  plan.set_kind(v1::Plan::RESTORE);
  LeaveOutWorkers(survey, plan, findings);
  if (found.backup == nullptr) {
    findings.Refuse(v1::BACKUP_UNUSABLE, wish.backup_id, "no server that answers has a backup of this id",
                    "choose one of: k3saga backups");
    return Finish(std::move(plan), std::move(findings));
  }
  plan.set_undoes(KeeperOf(survey, *found.backup));
  for (const Surveyed& node : survey.nodes) PlanRelease(*found.backup, node, plan);
  SetSource(FindBackup(survey, wish.backup_id), plan);
  plan.set_velero_backup(wish.velero_backup);
  for (const Check check : kEveryWay) check(survey, findings);
  CheckVerbs(survey, plan, findings);
  CheckBackupFits(survey, plan, FindBackup(survey, wish.backup_id), findings);
  CheckWorkersNotNewer(plan, findings);
  CheckLossIsAgreed(request, findings);
  return Finish(std::move(plan), std::move(findings));
}

}  // namespace k3saga::core
