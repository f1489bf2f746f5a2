#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "agent/kube/api.h"
#include "agent/kube/json.h"
#include "common/host/pause.h"

namespace k3saga::kube {

// Marks an object as ours; the value is the rollout's id.
inline constexpr char kRolloutAnnotation[] = "k3saga.io/rollout";

// An object's place in the API, found by discovery.
struct ObjectPlace {
  std::string collection;  // "/apis/rbac.authorization.k8s.io/v1/clusterroles"
  std::string name;
  std::string shown;  // "ClusterRole k3saga-ccm": for people

  std::string Path() const { return collection + "/" + Escape(name); }
};

// Objects that k3saga brings into the cluster and takes out again, through one API server; the methods of
// kube::Kube with the same names do what they say.
class Manifests {
 public:
  explicit Manifests(Api& api) : api_(api) {}

  absl::Status Apply(const std::string& manifest, std::string_view rollout, const Patience& patience);
  absl::Status Remove(const std::string& manifest, std::string_view rollout, const Patience& patience);

 private:
  absl::StatusOr<ObjectPlace> Locate(const Json& object, const Patience& patience);

  Api& api_;
};

}  // namespace k3saga::kube
