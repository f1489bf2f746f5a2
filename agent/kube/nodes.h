#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/api.h"
#include "agent/kube/json.h"
#include "common/host/clock.h"
#include "common/host/pause.h"
#include "k3saga/v1/facts.pb.h"
#include "k3saga/v1/operation.pb.h"

namespace k3saga::kube {

struct AwaitedNode;

// Pure: what to change of a Node object. `patch` is a merge patch bound to the object's resourceVersion;
// null: nothing.
struct CordonChange {
  Json patch;
  bool somebody_elses = false;
};
CordonChange ChangeToCordon(const Json& node, std::string_view rollout);
CordonChange ChangeToUncordon(const Json& node, std::string_view rollout);

// Node objects through one API server; the methods of kube::Kube with the same names do what they say.
class Nodes {
 public:
  Nodes(Api& api, const Clock& clock, Pauser& pauser) : api_(api), clock_(clock), pauser_(pauser) {}

  absl::StatusOr<std::vector<v1::KubeNode>> All(const Patience& patience);
  absl::StatusOr<v1::CordonResult> Cordon(std::string_view node, std::string_view rollout,
                                          const Patience& patience);
  absl::Status Uncordon(std::string_view node, std::string_view rollout, const Patience& patience);
  absl::Status Await(const AwaitedNode& awaited, const std::function<void(const std::string&)>& said,
                     const Patience& patience);

 private:
  // Reads, decides, patches; again when somebody else wrote meanwhile.
  absl::StatusOr<CordonChange> Change(std::string_view node, std::string_view rollout,
                                      CordonChange (*decide)(const Json&, std::string_view),
                                      const Patience& patience);

  Api& api_;
  const Clock& clock_;
  Pauser& pauser_;
};

}  // namespace k3saga::kube
