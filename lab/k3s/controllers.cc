#include "lab/k3s/controllers.h"

#include <algorithm>
#include <map>

#include "common/status_macros.h"
#include "lab/k3s/eviction.h"

namespace k3saga::lab {
namespace {

constexpr char kLockName[] = "kube-controller-manager";

// Everything one pass looks at, read once.
struct View {
  std::vector<json> nodes;
  std::vector<json> pods;
  std::vector<json> replica_sets;
  std::vector<json> daemon_sets;
  std::map<std::string, int64_t> heartbeats;  // by node, milliseconds
  int64_t now = 0;
};

absl::StatusOr<View> Read(ObjectStore& objects, int64_t now) {
  View view;
  view.now = now;
  K3SAGA_ASSIGN_OR_RETURN(view.nodes, objects.List(BuiltIn("nodes")));
  K3SAGA_ASSIGN_OR_RETURN(view.pods, objects.List(BuiltIn("pods")));
  K3SAGA_ASSIGN_OR_RETURN(view.replica_sets, objects.List(BuiltIn("replicasets")));
  K3SAGA_ASSIGN_OR_RETURN(view.daemon_sets, objects.List(BuiltIn("daemonsets")));
  K3SAGA_ASSIGN_OR_RETURN(std::vector<json> leases, objects.List(BuiltIn("leases"), "kube-node-lease"));
  for (const json& lease : leases) {
    view.heartbeats[NameOf(lease)] = ParseTime(TextAt(lease, {"spec", "renewTime"}));
  }
  return view;
}

json* Condition(json& object, std::string_view type) {
  json& conditions = object["status"]["conditions"];
  if (!conditions.is_array()) return nullptr;
  for (json& condition : conditions) {
    if (TextAt(condition, {"type"}) == type) return &condition;
  }
  return nullptr;
}

bool NodeIsReady(const json& node) {
  json copy = node;
  const json* ready = Condition(copy, "Ready");
  return ready != nullptr && TextAt(*ready, {"status"}) == "True";
}

bool IsFresh(const View& view, const std::string& node, int64_t limit) {
  auto heartbeat = view.heartbeats.find(node);
  return heartbeat != view.heartbeats.end() && view.now - heartbeat->second <= limit;
}

// A node that nobody has heard of for a while is not ready, as the node lifecycle controller sees it.
absl::Status MarkSilentNodes(ObjectStore& objects, View& view, const Timings& timings) {
  for (json& node : view.nodes) {
    if (IsFresh(view, NameOf(node), timings.node_grace_ms) || !NodeIsReady(node)) continue;
    K3SAGA_ASSIGN_OR_RETURN(node, objects.Modify(BuiltIn("nodes"), "", NameOf(node), [&](json& present) {
      json* ready = Condition(present, "Ready");
      if (ready == nullptr) return false;
      (*ready)["status"] = "Unknown";
      (*ready)["reason"] = "NodeStatusUnknown";
      (*ready)["message"] = "Kubelet stopped posting node status.";
      (*ready)["lastTransitionTime"] = FormatTime(view.now);
      return true;
    }));
  }
  return absl::OkStatus();
}

json PodOf(const json& owner, const std::string& kind, const std::string& node) {
  const json& pod_template = ObjectAt(owner, {"spec", "template"});
  json pod = {{"metadata",
               {{"generateName", NameOf(owner) + "-"},
                {"namespace", NamespaceOf(owner)},
                {"labels", ObjectAt(pod_template, {"metadata", "labels"})},
                {"ownerReferences",
                 {{{"apiVersion", "apps/v1"},
                   {"kind", kind},
                   {"name", NameOf(owner)},
                   {"uid", TextAt(owner, {"metadata", "uid"})},
                   {"controller", true},
                   {"blockOwnerDeletion", true}}}}}},
              {"spec", ObjectAt(pod_template, {"spec"})},
              {"status", {{"phase", "Pending"}}}};
  if (!node.empty()) pod["spec"]["nodeName"] = node;
  return pod;
}

bool OwnedBy(const json& pod, const json& owner) {
  return TextAt(ControllerOf(pod), {"uid"}) == TextAt(owner, {"metadata", "uid"});
}

absl::Status FillReplicaSets(ObjectStore& objects, View& view) {
  for (const json& set : view.replica_sets) {
    int64_t present = 0;
    for (const json& pod : view.pods) present += OwnedBy(pod, set) && !IsTerminating(pod) ? 1 : 0;
    for (; present < NumberAt(set, {"spec", "replicas"}, 1); ++present) {
      K3SAGA_ASSIGN_OR_RETURN(json pod, objects.Create(BuiltIn("pods"), PodOf(set, "ReplicaSet", "")));
      view.pods.push_back(std::move(pod));
    }
  }
  return absl::OkStatus();
}

absl::Status FillDaemonSets(ObjectStore& objects, View& view) {
  for (const json& set : view.daemon_sets) {
    for (const json& node : view.nodes) {
      const bool present = std::any_of(view.pods.begin(), view.pods.end(), [&](const json& pod) {
        return OwnedBy(pod, set) && TextAt(pod, {"spec", "nodeName"}) == NameOf(node);
      });
      if (present) continue;
      K3SAGA_ASSIGN_OR_RETURN(json pod,
                              objects.Create(BuiltIn("pods"), PodOf(set, "DaemonSet", NameOf(node))));
      view.pods.push_back(std::move(pod));
    }
  }
  return absl::OkStatus();
}

// The ready, schedulable node that fits and has the fewest pods; workers are preferred to servers.
std::string ChooseNode(const View& view, const json& pod) {
  std::string best;
  int64_t best_score = 0;
  for (const json& node : view.nodes) {
    if (!NodeIsReady(node) || FlagAt(node, {"spec", "unschedulable"})) continue;
    const json& labels = ObjectAt(node, {"metadata", "labels"});
    const json& wanted = ObjectAt(pod, {"spec", "nodeSelector"});
    if (!MatchesSelectorObject(labels, {{"matchLabels", wanted.is_object() ? wanted : json::object()}}))
      continue;
    int64_t score = labels.contains("node-role.kubernetes.io/control-plane") ? 1000 : 0;
    for (const json& other : view.pods) score += TextAt(other, {"spec", "nodeName"}) == NameOf(node) ? 1 : 0;
    if (best.empty() || score < best_score) {
      best = NameOf(node);
      best_score = score;
    }
  }
  return best;
}

absl::Status BindPods(ObjectStore& objects, View& view) {
  for (json& pod : view.pods) {
    if (!TextAt(pod, {"spec", "nodeName"}).empty() || IsTerminating(pod)) continue;
    const std::string node = ChooseNode(view, pod);
    if (node.empty()) continue;
    pod["spec"]["nodeName"] = node;
    pod["status"]["conditions"] = {
        {{"type", "PodScheduled"}, {"status", "True"}, {"lastTransitionTime", FormatMicroTime(view.now)}}};
    K3SAGA_ASSIGN_OR_RETURN(pod, objects.Update(BuiltIn("pods"), pod));
  }
  return absl::OkStatus();
}

absl::Status RunPod(ObjectStore& objects, json& pod, const Timings& timings, int64_t now) {
  const json* scheduled = Condition(pod, "PodScheduled");
  const int64_t since = ParseTime(scheduled == nullptr ? TextAt(pod, {"metadata", "creationTimestamp"})
                                                       : TextAt(*scheduled, {"lastTransitionTime"}));
  if (PodIsReady(pod) || now - since < timings.pod_start_ms) return absl::OkStatus();
  pod["status"] = {
      {"phase", "Running"},
      {"startTime", FormatTime(now)},
      {"conditions",
       {{{"type", "PodScheduled"}, {"status", "True"}, {"lastTransitionTime", FormatTime(since)}},
        {{"type", "Ready"}, {"status", "True"}, {"lastTransitionTime", FormatTime(now)}}}}};
  K3SAGA_ASSIGN_OR_RETURN(pod, objects.Update(BuiltIn("pods"), pod));
  return absl::OkStatus();
}

// What a node's kubelet does for its pods: it needs the node to be alive. Pods run on while k3s restarts, but
// none starts or ends then.
absl::Status RunKubelets(ObjectStore& objects, View& view, const Timings& timings) {
  for (json& pod : view.pods) {
    const std::string node = TextAt(pod, {"spec", "nodeName"});
    const int64_t deleted = ParseTime(TextAt(pod, {"metadata", "deletionTimestamp"}));
    const bool alive = IsFresh(view, node, 2 * timings.heartbeat_ms);
    if (node.empty() || !alive) continue;
    if (deleted == 0) {
      K3SAGA_RETURN_IF_ERROR(RunPod(objects, pod, timings, view.now));
      continue;
    }
    if (view.now - deleted < timings.pod_stop_ms) continue;
    K3SAGA_RETURN_IF_ERROR(objects.Remove(BuiltIn("pods"), pod));
    pod["spec"]["nodeName"] = "";
  }
  return absl::OkStatus();
}

absl::Status UpdateBudgets(ObjectStore& objects, const View& view) {
  K3SAGA_ASSIGN_OR_RETURN(std::vector<json> budgets, objects.List(BuiltIn("poddisruptionbudgets")));
  // Read again: what the pass changed must not be counted as it was before.
  K3SAGA_ASSIGN_OR_RETURN(std::vector<json> pods, objects.List(BuiltIn("pods")));
  for (json& budget : budgets) {
    json status = BudgetStatus(budget, pods, view.replica_sets);
    if (ObjectAt(budget, {"status"}) == status) continue;
    budget["status"] = std::move(status);
    K3SAGA_RETURN_IF_ERROR(objects.Update(BuiltIn("poddisruptionbudgets"), budget).status());
  }
  return absl::OkStatus();
}

absl::Status CreateIfAbsent(ObjectStore& objects, const Resource& resource, json object) {
  absl::Status created = objects.Create(resource, std::move(object)).status();
  return absl::IsAlreadyExists(created) ? absl::OkStatus() : created;
}

json PodTemplate(const std::string& app, const json& node_selector) {
  json spec = {{"containers", {{{"name", app}, {"image", "lab/" + app}}}},
               {"terminationGracePeriodSeconds", 1}};
  if (!node_selector.empty()) spec["nodeSelector"] = node_selector;
  return {{"metadata", {{"labels", {{"app", app}}}}}, {"spec", spec}};
}

}  // namespace

absl::Status RunControllers(ObjectStore& objects, const Timings& timings, int64_t now_millis) {
  K3SAGA_ASSIGN_OR_RETURN(View view, Read(objects, now_millis));
  K3SAGA_RETURN_IF_ERROR(MarkSilentNodes(objects, view, timings));
  K3SAGA_RETURN_IF_ERROR(FillReplicaSets(objects, view));
  K3SAGA_RETURN_IF_ERROR(FillDaemonSets(objects, view));
  K3SAGA_RETURN_IF_ERROR(BindPods(objects, view));
  K3SAGA_RETURN_IF_ERROR(RunKubelets(objects, view, timings));
  return UpdateBudgets(objects, view);
}

absl::Status CreateDeployment(ObjectStore& objects, const std::string& name_space, const std::string& name,
                              int replicas, const json& node_selector) {
  const json selector = {{"matchLabels", {{"app", name}}}};
  const json spec = {
      {"replicas", replicas}, {"selector", selector}, {"template", PodTemplate(name, node_selector)}};
  const json metadata = {{"name", name}, {"namespace", name_space}, {"labels", {{"app", name}}}};
  K3SAGA_RETURN_IF_ERROR(
      CreateIfAbsent(objects, BuiltIn("deployments"), {{"metadata", metadata}, {"spec", spec}}));
  K3SAGA_ASSIGN_OR_RETURN(json deployment, objects.Get(BuiltIn("deployments"), name_space, name));
  json set = {{"metadata", metadata}, {"spec", spec}};
  set["metadata"]["name"] = name + "-5d4f8c7b6d";
  set["metadata"]["ownerReferences"] = {{{"apiVersion", "apps/v1"},
                                         {"kind", "Deployment"},
                                         {"name", name},
                                         {"uid", TextAt(deployment, {"metadata", "uid"})},
                                         {"controller", true}}};
  return CreateIfAbsent(objects, BuiltIn("replicasets"), std::move(set));
}

absl::Status SeedWorkload(ObjectStore& objects, int workers) {
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    K3SAGA_RETURN_IF_ERROR(CreateIfAbsent(
        objects, BuiltIn("namespaces"), {{"metadata", {{"name", name}}}, {"status", {{"phase", "Active"}}}}));
  }
  K3SAGA_RETURN_IF_ERROR(CreateDeployment(objects, "kube-system", "coredns", 1, json::object()));
  K3SAGA_RETURN_IF_ERROR(CreateIfAbsent(objects, BuiltIn("daemonsets"),
                                        {{"metadata", {{"name", "svclb"}, {"namespace", "kube-system"}}},
                                         {"spec",
                                          {{"selector", {{"matchLabels", {{"app", "svclb"}}}}},
                                           {"template", PodTemplate("svclb", json::object())}}}}));
  if (workers == 0) return absl::OkStatus();
  const int replicas = std::min(2 * workers, 12);
  K3SAGA_RETURN_IF_ERROR(CreateDeployment(objects, "default", "web", replicas, json::object()));
  return CreateIfAbsent(
      objects, BuiltIn("poddisruptionbudgets"),
      {{"metadata", {{"name", "web"}, {"namespace", "default"}, {"generation", 1}}},
       {"spec", {{"maxUnavailable", "50%"}, {"selector", {{"matchLabels", {{"app", "web"}}}}}}}});
}

bool Leadership::Acquire(int64_t now_millis, int64_t patience_millis) {
  const Resource& leases = BuiltIn("leases");
  auto lock = objects_.Get(leases, "kube-system", kLockName);
  const json spec = {{"holderIdentity", self_}, {"renewTime", FormatMicroTime(now_millis)}};
  if (absl::IsNotFound(lock.status())) {
    return objects_
        .Create(leases, {{"metadata", {{"name", kLockName}, {"namespace", "kube-system"}}}, {"spec", spec}})
        .ok();
  }
  if (!lock.ok()) return false;
  const bool mine = TextAt(*lock, {"spec", "holderIdentity"}) == self_;
  const std::string version = TextAt(*lock, {"metadata", "resourceVersion"});
  if (version != seen_) {
    seen_ = version;
    seen_at_ = now_millis;
  }
  // By the time seen here, not by the holder's clock.
  if (!mine && now_millis - seen_at_ < patience_millis) return false;
  (*lock)["spec"] = spec;
  return objects_.Update(leases, *std::move(lock)).ok();
}

}  // namespace k3saga::lab
