#include "lab/k3s/resources.h"

#include <algorithm>

namespace k3saga::lab {

std::string Resource::KeyPrefix() const {
  return absl::StrCat("/registry/", group.empty() ? "" : group + "/", plural, "/");
}

std::string Resource::Key(std::string_view name_space, std::string_view name) const {
  return KeyPrefix() + (namespaced ? std::string(name_space) + "/" : "") + std::string(name);
}

const std::vector<Resource>& BuiltInResources() {
  static const auto* resources = new std::vector<Resource>{
      {"", "v1", "nodes", "Node", false, true},
      {"", "v1", "namespaces", "Namespace", false, true},
      {"", "v1", "pods", "Pod", true, true},
      {"", "v1", "services", "Service", true, true},
      {"", "v1", "endpoints", "Endpoints", true, false},
      {"", "v1", "configmaps", "ConfigMap", true, false},
      {"", "v1", "secrets", "Secret", true, false},
      {"", "v1", "serviceaccounts", "ServiceAccount", true, false},
      {"", "v1", "events", "Event", true, false},
      {"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true, true},
      {"apps", "v1", "deployments", "Deployment", true, true},
      {"apps", "v1", "replicasets", "ReplicaSet", true, true},
      {"apps", "v1", "daemonsets", "DaemonSet", true, true},
      {"apps", "v1", "statefulsets", "StatefulSet", true, true},
      {"batch", "v1", "jobs", "Job", true, true},
      {"batch", "v1", "cronjobs", "CronJob", true, true},
      {"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true, true},
      {"coordination.k8s.io", "v1", "leases", "Lease", true, false},
      {"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false, false},
      {"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false, false},
      {"rbac.authorization.k8s.io", "v1", "roles", "Role", true, false},
      {"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true, false},
      {"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false, true},
  };
  return *resources;
}

const Resource& BuiltIn(std::string_view plural) {
  const auto& all = BuiltInResources();
  return *std::find_if(all.begin(), all.end(),
                       [plural](const Resource& one) { return one.plural == plural; });
}

std::optional<ApiPath> ParseApiPath(std::string_view path) {
  std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(path.data(), path.size()), '/', absl::SkipEmpty());
  ApiPath parsed;
  size_t at = 0;
  if (parts.size() >= 2 && parts[0] == "api") {
    parsed.version = parts[1];
    at = 2;
  } else if (parts.size() >= 3 && parts[0] == "apis") {
    parsed.group = parts[1];
    parsed.version = parts[2];
    at = 3;
  } else if (parts.size() == 2 && parts[0] == "apis") {
    parsed.group = parts[1];
    at = 2;
  } else {
    return std::nullopt;
  }
  // /namespaces/NS/PLURAL is inside a namespace, /namespaces/NS[/status] is the namespace itself.
  if (parts.size() > at + 2 && parts[at] == "namespaces" && parts[at + 2] != "status") {
    parsed.name_space = parts[at + 1];
    at += 2;
  }
  std::string* fields[] = {&parsed.plural, &parsed.name, &parsed.subresource};
  if (parts.size() > at + 3) return std::nullopt;
  for (size_t i = 0; at < parts.size(); ++i, ++at) *fields[i] = parts[at];
  return parsed;
}

}  // namespace k3saga::lab
