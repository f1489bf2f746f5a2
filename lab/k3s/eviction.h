#pragma once

#include <string>
#include <vector>

#include "lab/k3s/object_store.h"

namespace k3saga::lab {

bool PodIsReady(const json& pod);
bool IsTerminating(const json& object);

// A budget's status as the disruption controller works it out: healthy pods against the size that their
// replica sets are meant to have. A pod that was evicted but is not yet terminating counts as disrupted.
json BudgetStatus(const json& budget, const std::vector<json>& pods, const std::vector<json>& replica_sets);

// May this pod be evicted now? kResourceExhausted when a budget forbids it (the message is the API's),
// kInternal when more than one budget selects the pod, as in Kubernetes. Takes one disruption off the budget
// unless `dry_run`, guarded by its revision: two servers asked at once cannot both take the last one.
absl::Status TakeDisruption(ObjectStore& objects, const json& pod, bool dry_run);

}  // namespace k3saga::lab
