#include <absl/strings/str_cat.h>

#include <algorithm>

#include "coordinator/core/planner.h"
#include "coordinator/core/way_back.h"

namespace k3saga::core {
namespace {

bool Server(const v1::PlannedNode& node) { return node.role() == v1::ROLE_SERVER; }

std::vector<std::string> WayThrough(const v1::Plan& plan, const v1::PlannedNode& node) {
  const v1::Policies& policies = plan.policies();
  const bool cordon = Server(node) ? policies.servers().cordon() : policies.workers().cordon();
  const bool drain =
      Server(node) ? policies.servers().drain().enabled() : policies.workers().drain().enabled();
  const bool undo = node.runs_kubelet() && !node.was_cordoned() && (cordon || node.left_cordoned());
  std::vector<std::string> actions;
  if (undo) actions.push_back("cordon");
  if (drain && node.runs_kubelet()) actions.push_back("drain");
  if (Server(node) && node.member_id() != 0 && plan.members_size() > 1) {
    actions.push_back("move etcd's leadership away if it leads");
  }
  actions.push_back(absl::StrCat("install ", plan.to_version(), " over ", node.from_version()));
  if (node.runs_kubelet()) actions.push_back("await Ready");
  if (undo) actions.push_back("uncordon");
  return actions;
}

template <typename Actions>
Wave MakeWave(const v1::Plan& plan, std::string title, std::string how, const Actions& actions) {
  Wave wave;
  wave.title = std::move(title);
  wave.how = std::move(how);
  for (const v1::PlannedNode& node : plan.nodes()) {
    std::vector<std::string> of_node = actions(node);
    if (!of_node.empty()) wave.nodes.push_back({node.name(), std::move(of_node)});
  }
  return wave;
}

Wave StageWave(const v1::Plan& plan) {
  Wave wave = MakeWave(plan, "Stage the release", "on every node at once, beside what runs",
                       [&](const v1::PlannedNode& node) -> std::vector<std::string> {
                         if (node.at_target()) return {};
                         return {absl::StrCat("fetch and verify ", plan.to_version())};
                       });
  wave.at_once = static_cast<uint32_t>(wave.nodes.size());
  return wave;
}

Wave BackupWave(const v1::Plan& plan) {
  const bool etcd = plan.datastore() == v1::DATASTORE_EMBEDDED_ETCD;
  Wave wave;
  wave.title = "Back up the datastore";
  wave.how = "once, right before the first change, on a healthy server";
  wave.nodes.push_back(
      {"", {etcd ? "etcd snapshot and server token" : "copy of the datastore and server token"}});
  return wave;
}

Wave RemedyWave(const v1::Plan& plan) {
  Wave wave;
  wave.title = "Apply what this step needs";
  wave.how = "before the first server; removed after the last, on every way out";
  for (const v1::Remedy& remedy : plan.remedies()) {
    wave.nodes.push_back({"", {remedy.objects().begin(), remedy.objects().end()}});
  }
  return wave;
}

Wave ServerWave(const v1::Plan& plan) {
  return MakeWave(plan, "Upgrade the servers",
                  absl::StrCat("one at a time, whoever leads the control loops first and etcd's leader last, "
                               "each once all servers have been ready for ",
                               plan.policies().servers().settle_seconds(), " s"),
                  [&](const v1::PlannedNode& node) -> std::vector<std::string> {
                    if (!Server(node) || node.at_target()) return {};
                    return WayThrough(plan, node);
                  });
}

Wave WorkerWave(const v1::Plan& plan) {
  const v1::WorkerPolicy& policy = plan.policies().workers();
  uint32_t workers = 0;
  for (const v1::PlannedNode& node : plan.nodes()) workers += Server(node) ? 0 : 1;
  const uint32_t at_once = std::max(1u, Resolve(policy.max_unavailable(), workers));
  std::string how = absl::StrCat("at most ", at_once, " unavailable at once");
  if (policy.canary() != 0) absl::StrAppend(&how, ", the first ", policy.canary(), " by themselves");
  Wave wave = MakeWave(plan, "Upgrade the workers", how,
                       [&](const v1::PlannedNode& node) -> std::vector<std::string> {
                         if (Server(node) || node.at_target()) return {};
                         return WayThrough(plan, node);
                       });
  wave.at_once = at_once;
  return wave;
}

Wave VerifyWave(const v1::Plan& plan) {
  Wave wave =
      MakeWave(plan, "Verify", "all together", [&](const v1::PlannedNode& node) -> std::vector<std::string> {
        if (!node.runs_kubelet()) return {};
        return {absl::StrCat("Ready at ", plan.to_version(), ", not cordoned by us")};
      });
  wave.at_once = static_cast<uint32_t>(wave.nodes.size());
  return wave;
}

}  // namespace

std::vector<Wave> DescribeWaves(const v1::Plan& plan) {
  if (plan.kind() != v1::Plan::UPGRADE) return DescribeWayBack(plan);
  std::vector<Wave> waves = {StageWave(plan)};
  if (plan.policies().backup().enabled()) waves.push_back(BackupWave(plan));
  if (plan.remedies_size() != 0) waves.push_back(RemedyWave(plan));
  for (Wave wave : {ServerWave(plan), WorkerWave(plan)}) {
    if (!wave.nodes.empty()) waves.push_back(std::move(wave));
  }
  waves.push_back(VerifyWave(plan));
  return waves;
}

}  // namespace k3saga::core
