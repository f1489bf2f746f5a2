#include "lab/k3s/eviction.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/status_macros.h"
#include "lab/base/layout.h"

namespace k3saga::lab {
namespace {

constexpr int kAttempts = 10;

bool Selects(const json& budget, const json& pod) {
  return NamespaceOf(budget) == NamespaceOf(pod) &&
         MatchesSelectorObject(ObjectAt(pod, {"metadata", "labels"}), ObjectAt(budget, {"spec", "selector"}));
}

// How many pods a budget is about: the wanted size of every replica set among them, and the pods without one.
int64_t ExpectedPods(const std::vector<const json*>& selected, const std::vector<json>& replica_sets) {
  std::map<std::string, int64_t> sizes;
  for (const json& set : replica_sets) {
    sizes[TextAt(set, {"metadata", "uid"})] = NumberAt(set, {"spec", "replicas"}, 1);
  }
  int64_t expected = 0;
  std::set<std::string> counted;
  for (const json* pod : selected) {
    const std::string owner = TextAt(ControllerOf(*pod), {"uid"});
    auto size = sizes.find(owner);
    if (size == sizes.end()) {
      ++expected;
    } else if (counted.insert(owner).second) {
      expected += size->second;
    }
  }
  return expected;
}

}  // namespace

bool IsTerminating(const json& object) {
  return !ObjectAt(object, {"metadata", "deletionTimestamp"}).is_null();
}

bool PodIsReady(const json& pod) {
  const json& conditions = ObjectAt(pod, {"status", "conditions"});
  if (!conditions.is_array()) return false;
  return std::any_of(conditions.begin(), conditions.end(), [](const json& condition) {
    return TextAt(condition, {"type"}) == "Ready" && TextAt(condition, {"status"}) == "True";
  });
}

json BudgetStatus(const json& budget, const std::vector<json>& pods, const std::vector<json>& replica_sets) {
  const json& disrupted = ObjectAt(budget, {"status", "disruptedPods"});
  std::vector<const json*> selected;
  json still_disrupted = json::object();
  int64_t healthy = 0;
  for (const json& pod : pods) {
    if (!Selects(budget, pod)) continue;
    selected.push_back(&pod);
    if (IsTerminating(pod)) continue;
    const bool evicted = disrupted.is_object() && disrupted.contains(NameOf(pod));
    if (evicted) still_disrupted[NameOf(pod)] = disrupted[NameOf(pod)];
    if (PodIsReady(pod) && !evicted) ++healthy;
  }
  const int64_t expected = ExpectedPods(selected, replica_sets);
  const json& maximum = ObjectAt(budget, {"spec", "maxUnavailable"});
  const int64_t desired = maximum.is_null()
                              ? ScaledValue(ObjectAt(budget, {"spec", "minAvailable"}), expected, true)
                              : std::max<int64_t>(0, expected - ScaledValue(maximum, expected, true));
  return {{"currentHealthy", healthy},
          {"desiredHealthy", desired},
          {"expectedPods", expected},
          {"disruptionsAllowed", std::max<int64_t>(0, healthy - desired)},
          {"disruptedPods", still_disrupted},
          {"observedGeneration", NumberAt(budget, {"metadata", "generation"}, 1)}};
}

absl::Status TakeDisruption(ObjectStore& objects, const json& pod, bool dry_run) {
  const Resource& budgets = BuiltIn("poddisruptionbudgets");
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    K3SAGA_ASSIGN_OR_RETURN(std::vector<json> all, objects.List(budgets, NamespaceOf(pod)));
    all.erase(std::remove_if(all.begin(), all.end(), [&](const json& one) { return !Selects(one, pod); }),
              all.end());
    if (all.empty() || IsTerminating(pod)) return absl::OkStatus();
    if (all.size() > 1) {
      return absl::InternalError(
          "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
    }
    json& budget = all.front();
    const int64_t allowed = NumberAt(budget, {"status", "disruptionsAllowed"});
    const int64_t healthy = NumberAt(budget, {"status", "currentHealthy"});
    const int64_t desired = NumberAt(budget, {"status", "desiredHealthy"});
    // A pod that is not ready takes nothing from a budget that is met.
    if (!PodIsReady(pod) && healthy >= desired && desired > 0) return absl::OkStatus();
    if (allowed <= 0) {
      return absl::ResourceExhaustedError(absl::StrCat("The disruption budget ", NameOf(budget), " needs ",
                                                       desired, " healthy pods and has ", healthy,
                                                       " currently"));
    }
    if (dry_run) return absl::OkStatus();
    budget["status"]["disruptionsAllowed"] = allowed - 1;
    budget["status"]["disruptedPods"][NameOf(pod)] = FormatTime(NowMillis());
    absl::StatusOr<json> updated = objects.Update(budgets, budget);
    if (!absl::IsAborted(updated.status())) return updated.status();
  }
  return absl::ResourceExhaustedError("The disruption budget changes too fast; try again");
}

}  // namespace k3saga::lab
