#include <absl/strings/str_cat.h>

#include <algorithm>

#include "coordinator/core/way_back.h"

namespace k3saga::core {
namespace {

bool Server(const v1::PlannedNode& node) { return node.role() == v1::ROLE_SERVER; }

std::string PutBack(const v1::PlannedNode& node) {
  return absl::StrCat("put back ", node.to_version(), " for ", node.from_version());
}

template <typename Actions>
void AddWave(const v1::Plan& plan, std::vector<Wave>& waves, std::string title, std::string how, bool at_once,
             const Actions& actions) {
  Wave wave;
  wave.title = std::move(title);
  wave.how = std::move(how);
  for (const v1::PlannedNode& node : plan.nodes()) {
    std::vector<std::string> of_node = actions(node);
    if (!of_node.empty()) wave.nodes.push_back({node.name(), std::move(of_node)});
  }
  wave.at_once = at_once ? static_cast<uint32_t>(wave.nodes.size()) : 1;
  if (!wave.nodes.empty()) waves.push_back(std::move(wave));
}

using Actions = std::vector<std::string>;

void AddBinaryWaves(const v1::Plan& plan, std::vector<Wave>& waves) {
  const v1::Policies& policies = plan.policies();
  const auto way = [&](const v1::PlannedNode& node) {
    const bool drain =
        Server(node) ? policies.servers().drain().enabled() : policies.workers().drain().enabled();
    const bool cordon = Server(node) ? policies.servers().cordon() : policies.workers().cordon();
    Actions actions;
    if (cordon && !node.was_cordoned()) actions.push_back("cordon");
    if (drain) actions.push_back("drain");
    actions.push_back(PutBack(node));
    actions.push_back("await Ready");
    if (cordon && !node.was_cordoned()) actions.push_back("uncordon");
    return actions;
  };
  AddWave(
      plan, waves, "Put back the workers", "before the servers, as many at once as for an upgrade", false,
      [&](const v1::PlannedNode& node) { return Server(node) || node.at_target() ? Actions() : way(node); });
  AddWave(
      plan, waves, "Put back the servers",
      "one at a time, the one that was upgraded last first, etcd's quorum kept", false,
      [&](const v1::PlannedNode& node) { return !Server(node) || node.at_target() ? Actions() : way(node); });
  if (waves.empty() || waves.back().title != "Put back the servers") return;
  auto& servers = waves.back().nodes;
  const auto order = [&](const std::string& name) {
    const auto found = std::find_if(plan.nodes().begin(), plan.nodes().end(),
                                    [&](const v1::PlannedNode& node) { return node.name() == name; });
    return found == plan.nodes().end() ? 0u : found->moved_as();
  };
  std::stable_sort(servers.begin(), servers.end(),
                   [&](const Wave::Node& a, const Wave::Node& b) { return order(a.name) > order(b.name); });
}

void AddDatastoreWaves(const v1::Plan& plan, std::vector<Wave>& waves) {
  AddWave(plan, waves, "Put back the workers", "all at once: never newer than the servers", true,
          [](const v1::PlannedNode& node) {
            return Server(node) || node.at_target() ? Actions() : Actions{PutBack(node)};
          });
  AddWave(plan, waves, "Stop the servers", "all of them: the API is away until the datastore is back", true,
          [](const v1::PlannedNode& node) { return Server(node) ? Actions{"stop k3s"} : Actions(); });
  AddWave(plan, waves, "Restore the datastore",
          absl::StrCat("from backup ", plan.restore_from().id(), "; what is there now is moved aside"), false,
          [&](const v1::PlannedNode& node) {
            Actions actions;
            if (node.name() != plan.restore_on()) return actions;
            if (!node.at_target()) actions.push_back(PutBack(node));
            actions.push_back("reset from the snapshot");
            actions.push_back("start and verify");
            return actions;
          });
  AddWave(plan, waves, "Rejoin the servers", "one at a time; membership as before", false,
          [&](const v1::PlannedNode& node) {
            Actions actions;
            if (!Server(node) || node.name() == plan.restore_on()) return actions;
            if (!node.at_target()) actions.push_back(PutBack(node));
            actions.push_back("move its datastore aside");
            actions.push_back("start, join and verify");
            return actions;
          });
  AddWave(plan, waves, "Restart the workers", "all at once: their pods go on", true,
          [](const v1::PlannedNode& node) { return Server(node) ? Actions() : Actions{"restart k3s"}; });
  if (plan.velero_backup().empty()) return;
  Wave velero;
  velero.title = "Restore by Velero";
  velero.how = absl::StrCat("what backup ", plan.velero_backup(), " has");
  waves.push_back(std::move(velero));
}

}  // namespace

std::vector<Wave> DescribeWayBack(const v1::Plan& plan) {
  std::vector<Wave> waves;
  if (plan.has_restore_from()) {
    AddDatastoreWaves(plan, waves);
  } else {
    AddBinaryWaves(plan, waves);
  }
  AddWave(plan, waves, "Verify", "all together", true, [](const v1::PlannedNode& node) {
    return node.runs_kubelet() ? Actions{absl::StrCat("Ready at ", node.to_version())} : Actions();
  });
  return waves;
}

}  // namespace k3saga::core
