#include "agent/kube/objects.h"

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include <algorithm>

#include "agent/kube/kube.h"

namespace k3saga::kube {
namespace {

Selector SelectorOf(const Json& json, bool empty_matches_nothing) {
  Selector selector;
  selector.labels = LabelsAt(json, {"matchLabels"});
  for (const Json& expression : ListAt(json, {"matchExpressions"})) {
    Selector::Requirement requirement{
        .key = TextAt(expression, {"key"}), .op = TextAt(expression, {"operator"}), .values = {}};
    for (const Json& value : ListAt(expression, {"values"})) {
      requirement.values.push_back(value.is_string() ? value.get<std::string>() : "");
    }
    selector.requirements.push_back(std::move(requirement));
  }
  const bool empty = selector.labels.empty() && selector.requirements.empty();
  selector.nothing = !json.is_object() || (empty && empty_matches_nothing);
  return selector;
}

bool Fulfils(const Selector::Requirement& requirement, const Labels& labels) {
  const auto label = labels.find(requirement.key);
  const bool there = label != labels.end();
  const bool listed = there && std::find(requirement.values.begin(), requirement.values.end(),
                                         label->second) != requirement.values.end();
  if (requirement.op == "In") {
    return listed;
  }
  if (requirement.op == "NotIn") {
    return !listed;
  }
  return requirement.op == "Exists" ? there : requirement.op == "DoesNotExist" && !there;
}

// An IntOrString: 2 or "50%".
std::string Amount(const Json& json) {
  return json.is_number_integer() ? absl::StrCat(json.get<int64_t>())
         : json.is_string()       ? json.get<std::string>()
                                  : "";
}

const Json& ConditionOf(const Json& node, const char* type) {
  static const Json nothing;
  for (const Json& condition : ListAt(node, {"status", "conditions"})) {
    if (TextAt(condition, {"type"}) == type) {
      return condition;
    }
  }
  return nothing;
}

bool ConditionIsTrue(const Json& node, const char* type) {
  return TextAt(ConditionOf(node, type), {"status"}) == "True";
}

// Of a deleted pod's container. One that was gone before the kubelet looked shows as waiting, and in its last
// state as ended in a way nobody knows.
bool HasEnded(const Json& status) {
  if (At(status, {"state", "terminated"}).is_object()) return true;
  return !At(status, {"state", "running"}).is_object() &&
         TextAt(status, {"lastState", "terminated", "reason"}) == "ContainerStatusUnknown";
}

// Each of the pod's containers has a status, and each that has one has ended.
bool ContainersEnded(const Json& pod) {
  const Json::array_t& statuses = ListAt(pod, {"status", "containerStatuses"});
  const Json::array_t& before = ListAt(pod, {"status", "initContainerStatuses"});
  return !statuses.empty() && statuses.size() == ListAt(pod, {"spec", "containers"}).size() &&
         std::all_of(statuses.begin(), statuses.end(), &HasEnded) &&
         std::none_of(before.begin(), before.end(), [](const Json& status) {
           return At(status, {"state", "running"}).is_object();
         });
}

// Volumes that are made on the node and vanish there; all others may have to be detached from it.
bool VolumesAreLocal(const Json& pod) {
  static constexpr const char* kLocal[] = {"configMap", "secret",   "downwardAPI",
                                           "projected", "emptyDir", "hostPath"};
  const Json::array_t& volumes = ListAt(pod, {"spec", "volumes"});
  return std::all_of(volumes.begin(), volumes.end(), [](const Json& volume) {
    return std::any_of(std::begin(kLocal), std::end(kLocal),
                       [&](const char* kind) { return At(volume, {kind}).is_object(); });
  });
}

}  // namespace

Pod PodOf(const Json& object) {
  Pod pod{.name_space = TextAt(object, {"metadata", "namespace"}),
          .name = TextAt(object, {"metadata", "name"}),
          .uid = TextAt(object, {"metadata", "uid"}),
          .node = TextAt(object, {"spec", "nodeName"}),
          .labels = LabelsAt(object, {"metadata", "labels"}),
          .phase = TextAt(object, {"status", "phase"}),
          .mirror = At(object, {"metadata", "annotations", "kubernetes.io/config.mirror"}).is_string(),
          .terminating = !TextAt(object, {"metadata", "deletionTimestamp"}).empty(),
          .ended = false,
          .empty_dir = false,
          .controller_kind = {},
          .controller_uid = {}};
  for (const Json& volume : ListAt(object, {"spec", "volumes"})) {
    pod.empty_dir = pod.empty_dir || At(volume, {"emptyDir"}).is_object();
  }
  for (const Json& owner : ListAt(object, {"metadata", "ownerReferences"})) {
    if (TrueAt(owner, {"controller"})) {
      pod.controller_kind = TextAt(owner, {"kind"});
      pod.controller_uid = TextAt(owner, {"uid"});
    }
  }
  pod.ended = pod.terminating && pod.controller_kind == "ReplicaSet" && ContainersEnded(object) &&
              VolumesAreLocal(object);
  return pod;
}

bool Selector::Matches(const Labels& of_pod) const {
  if (nothing) {
    return false;
  }
  const bool all_labels = std::all_of(labels.begin(), labels.end(), [&](const auto& wanted) {
    const auto label = of_pod.find(wanted.first);
    return label != of_pod.end() && label->second == wanted.second;
  });
  return all_labels &&
         std::all_of(requirements.begin(), requirements.end(),
                     [&](const Requirement& requirement) { return Fulfils(requirement, of_pod); });
}

Budget BudgetOf(const Json& object, bool v1beta1) {
  return {.name_space = TextAt(object, {"metadata", "namespace"}),
          .name = TextAt(object, {"metadata", "name"}),
          .selector = SelectorOf(At(object, {"spec", "selector"}), v1beta1),
          .min_available = Amount(At(object, {"spec", "minAvailable"})),
          .max_unavailable = Amount(At(object, {"spec", "maxUnavailable"})),
          .desired_healthy = NumberAt(object, {"status", "desiredHealthy"}),
          .expected_pods = NumberAt(object, {"status", "expectedPods"})};
}

std::optional<int64_t> UnixMillisOf(const std::string& rfc3339) {
  absl::Time time;
  std::string error;
  if (rfc3339.empty() || !absl::ParseTime(absl::RFC3339_full, rfc3339, &time, &error)) {
    return std::nullopt;
  }
  return absl::ToUnixMillis(time);
}

v1::KubeNode NodeOf(const Json& object, const std::string& lease_renewed, int64_t now_unix_ms) {
  v1::KubeNode node;
  node.set_name(TextAt(object, {"metadata", "name"}));
  node.set_ready(ConditionIsTrue(object, "Ready"));
  node.set_unschedulable(TrueAt(object, {"spec", "unschedulable"}));
  node.set_cordoned_by(TextAt(object, {"metadata", "annotations", kCordonedBy}));
  node.set_kubelet_version(TextAt(object, {"status", "nodeInfo", "kubeletVersion"}));
  const Labels labels = LabelsAt(object, {"metadata", "labels"});
  node.set_control_plane(labels.contains("node-role.kubernetes.io/control-plane") ||
                         labels.contains("node-role.kubernetes.io/master"));
  node.set_etcd(labels.contains("node-role.kubernetes.io/etcd"));
  const auto heartbeat = std::max(UnixMillisOf(lease_renewed),
                                  UnixMillisOf(TextAt(ConditionOf(object, "Ready"), {"lastHeartbeatTime"})));
  // A node that never gave a sign of life is as old as time.
  node.set_heartbeat_age_ms(static_cast<uint64_t>(std::max<int64_t>(0, now_unix_ms - heartbeat.value_or(0))));
  for (const Json& address : ListAt(object, {"status", "addresses"})) {
    node.add_addresses(TextAt(address, {"address"}));
  }
  node.set_pressure(ConditionIsTrue(object, "MemoryPressure") || ConditionIsTrue(object, "DiskPressure") ||
                    ConditionIsTrue(object, "PIDPressure"));
  return node;
}

std::string HeartbeatOf(const Json& node, const std::string& lease_renewed) {
  return lease_renewed.empty() ? TextAt(ConditionOf(node, "Ready"), {"lastHeartbeatTime"}) : lease_renewed;
}

}  // namespace k3saga::kube
