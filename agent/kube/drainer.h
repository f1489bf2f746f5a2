#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/kube/api.h"
#include "agent/kube/kube.h"
#include "agent/kube/objects.h"
#include "common/host/clock.h"
#include "common/host/pause.h"
#include "k3saga/v1/operation.pb.h"
#include "k3saga/v1/policy.pb.h"

namespace k3saga::kube {

// The version of policy/ that this API server's eviction (or budgets) speaks: "v1" or "v1beta1".
absl::StatusOr<std::string> EvictionVersion(Api& api, const Patience& patience);
absl::StatusOr<std::string> BudgetVersion(Api& api, const Patience& patience);

// One drain of one node. Used once, by one thread. What was evicted before a crash is simply gone when it
// runs again.
class Drainer {
 public:
  struct Parts {
    Api* api = nullptr;
    const Clock* clock = nullptr;
    Pauser* pauser = nullptr;
    std::function<void(const DrainState&)> observe;
  };
  Drainer(Parts parts, std::string node, v1::DrainPolicy policy, Patience patience);

  absl::StatusOr<v1::DrainResult> Run();

 private:
  struct Tracked {
    Pod pod;
    bool evicted = false;                       // the API accepted: it is on its way out
    std::chrono::milliseconds next_attempt{0};  // Clock::Steady
    std::string held_by;
  };

  absl::StatusOr<std::vector<Pod>> PodsOnNode(const Patience& patience);
  // Refuses before anything was evicted.
  absl::Status CheckNothingInTheWay(const std::vector<Pod>& pods) const;
  // Takes over what is on the node now: what is gone, what is left, what came back.
  void Update(const std::vector<Pod>& pods);
  using Removal = absl::Status (Drainer::*)(Tracked&);
  absl::Status Evict(Tracked& tracked);
  absl::Status Delete(Tracked& tracked);  // regardless of budgets
  // Every pod that is not on its way out and whose next attempt is due.
  absl::Status RemoveDue(Removal remove);
  absl::StatusOr<v1::DrainResult> TimeIsUp();

  // Until nothing is left (true) or `end` (false).
  absl::StatusOr<bool> WaitUntilEmpty(std::chrono::milliseconds end, Removal remove);

  v1::DrainResult Result() const;
  DrainState State() const;
  void Tell();
  absl::Status Blocked(std::string_view what) const;
  Json DeleteOptions(const Pod& pod) const;
  Patience Left(std::chrono::milliseconds end) const;

  const Parts parts_;
  const std::string node_;
  const v1::DrainPolicy policy_;
  const Patience patience_;
  const std::chrono::milliseconds start_;
  std::string version_;  // of policy/, for evictions
  bool first_look_ = true;
  std::map<std::string, Tracked> left_;   // by uid
  std::set<std::string> seen_;            // uids
  std::map<std::string, int> came_back_;  // by the controller's uid
  uint32_t staying_ = 0;                  // in the way, and PROCEED leaves them
  uint32_t returning_ = 0;                // come back whatever we do
  uint32_t gone_ = 0;
  std::string last_told_;
};

}  // namespace k3saga::kube
