#include "agent/kube/drain_rules.h"

#include "common/reason.h"

namespace k3saga::kube {

PodFate FateOf(const Pod& pod, const v1::DrainPolicy& policy) {
  if (pod.mirror || pod.ended) {
    return PodFate::kStays;
  }
  if (pod.Finished()) {
    return PodFate::kEvict;  // whatever it was, it needs nothing any more
  }
  if (pod.controller_kind == "DaemonSet") {
    return PodFate::kStays;
  }
  if (pod.empty_dir && !policy.delete_empty_dir_data()) {
    return PodFate::kEmptyDir;
  }
  if (pod.controller_kind.empty() && !policy.force_unmanaged()) {
    return PodFate::kUnmanaged;
  }
  return PodFate::kEvict;
}

v1::Reason InTheWay(const Pod& pod, PodFate fate) {
  if (fate == PodFate::kEmptyDir) {
    return MakeReason(v1::POD_IN_THE_WAY, pod.FullName(), "has an emptyDir volume, whose data would be lost",
                      "move the data, or allow it with drain.delete_empty_dir_data");
  }
  return MakeReason(v1::POD_IN_THE_WAY, pod.FullName(), "has no controller that would bring it back",
                    "delete it yourself, or allow it with drain.force_unmanaged");
}

}  // namespace k3saga::kube
