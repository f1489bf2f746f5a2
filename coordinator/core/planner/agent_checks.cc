#include "coordinator/core/planner/agent_checks.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <string>

namespace k3saga::core {
namespace {

constexpr char kUpgradeTheAgent[] = "upgrade k3saga-agent on this node: k3saga agents upgrade";

bool IsServer(const v1::PlannedNode& node) { return node.role() == v1::ROLE_SERVER; }

bool ComesBack(const v1::Plan& plan) {
  return plan.has_restore_from() ||
         (plan.kind() == v1::Plan::UPGRADE && plan.policies().backup().restore_on_failure());
}

bool Drains(const v1::Plan& plan, const v1::PlannedNode& node) {
  const v1::Policies& policies = plan.policies();
  return (IsServer(node) ? policies.servers().drain() : policies.workers().drain()).enabled();
}

bool Cordons(const v1::Plan& plan, const v1::PlannedNode& node) {
  const v1::Policies& policies = plan.policies();
  return node.left_cordoned() || (IsServer(node) ? policies.servers().cordon() : policies.workers().cordon());
}

// What any healthy server is asked for, about the cluster or another node.
void AppendForOthers(const v1::Plan& plan, std::vector<Verb>& verbs) {
  const auto any = [&](const auto& holds) {
    return std::any_of(plan.nodes().begin(), plan.nodes().end(), [&](const v1::PlannedNode& node) {
      return node.runs_kubelet() && !node.at_target() && holds(node);
    });
  };
  const auto append = [&](bool needed, std::initializer_list<Verb> more) {
    if (needed) verbs.insert(verbs.end(), more);
  };
  const v1::BackupPolicy& backup = plan.policies().backup();
  const bool forward = plan.kind() == v1::Plan::UPGRADE;
  append(any([](const v1::PlannedNode&) { return true; }), {Verb::kAwaitNode});
  append(any([&](const v1::PlannedNode& node) { return Cordons(plan, node); }),
         {Verb::kCordon, Verb::kUncordon});
  append(any([&](const v1::PlannedNode& node) { return Drains(plan, node); }), {Verb::kDrain});
  append(plan.remedies_size() != 0, {Verb::kApplyManifests, Verb::kRemoveManifests});
  append(forward && backup.enabled() && plan.datastore() != v1::DATASTORE_EXTERNAL, {Verb::kBackup});
  append(forward && backup.velero_namespaces_size() != 0, {Verb::kVeleroBackup});
  const bool by_velero = forward ? backup.velero_namespaces_size() != 0 : !plan.velero_backup().empty();
  append(ComesBack(plan) && by_velero, {Verb::kVeleroRestore});
}

}  // namespace

std::vector<Verb> VerbsFor(const v1::Plan& plan, const v1::PlannedNode& node) {
  std::vector<Verb> verbs = {Verb::kClaim, Verb::kReleaseClaim};
  const bool forward = plan.kind() == v1::Plan::UPGRADE;
  if (forward && !node.at_target()) {
    verbs.insert(verbs.end(), {Verb::kStage, Verb::kDropStaged, Verb::kInstall});
  }
  if (!node.at_target()) verbs.push_back(Verb::kPutBack);
  if (!IsServer(node)) {
    if (ComesBack(plan)) verbs.push_back(Verb::kRestart);
    return verbs;
  }
  const bool etcd = node.runs_etcd() || node.member_id() != 0;
  if (etcd && !node.at_target() && plan.members_size() > 1) verbs.push_back(Verb::kMoveLeader);
  AppendForOthers(plan, verbs);
  if (ComesBack(plan)) {
    verbs.insert(verbs.end(), {Verb::kStop, Verb::kRestoreDatastore, Verb::kRejoin, Verb::kRestart});
  }
  return verbs;
}

void CheckProtocols(const Survey& survey, Findings& findings) {
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached() || node.facts->protocol() >= kOldestProtocol) continue;
    findings.Refuse(
        v1::AGENT_VERSION_UNSUPPORTED, node.name(),
        absl::StrCat("its agent ", node.facts->agent_version(), " speaks protocol ", node.facts->protocol(),
                     ", and the oldest that works with this k3saga is ", kOldestProtocol),
        kUpgradeTheAgent);
  }
}

void CheckVerbs(const Survey& survey, const v1::Plan& plan, Findings& findings,
                const std::vector<VerbSince>& verbs) {
  for (const Surveyed& node : survey.nodes) {
    const auto planned =
        std::find_if(plan.nodes().begin(), plan.nodes().end(),
                     [&](const v1::PlannedNode& each) { return each.name() == node.name(); });
    if (!node.reached() || planned == plan.nodes().end()) continue;
    const uint32_t speaks = node.facts->protocol();
    if (speaks < kOldestProtocol) continue;
    std::vector<std::string> lacks;
    const std::vector<Verb> needed = VerbsFor(plan, *planned);
    for (const VerbSince& each : verbs) {
      if (each.protocol <= speaks || std::find(needed.begin(), needed.end(), each.verb) == needed.end())
        continue;
      lacks.push_back(v1::OperationSpec::descriptor()->FindFieldByNumber(each.verb)->name());
    }
    if (lacks.empty()) continue;
    findings.Refuse(v1::AGENT_VERSION_UNSUPPORTED, node.name(),
                    absl::StrCat("its agent ", node.facts->agent_version(), " speaks protocol ", speaks,
                                 ", which has no ", absl::StrJoin(lacks, ", "), "; this rollout needs it"),
                    kUpgradeTheAgent);
  }
}

}  // namespace k3saga::core
