#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "coordinator/core/adopt.h"
#include "coordinator/fleet/fleet.h"

namespace k3saga::driver {

// First fences, then looks: every server's agent durably acknowledges (epoch, holder), so that whoever ran
// the rollout starts nothing more there; only then is each agent asked what its node is like and what was
// done there. Loop's thread; destroying it gives up (what was acknowledged stays so).
class Adopting final : public fleet::Call {
 public:
  struct Job {
    v1::RolloutCreated created;
    std::vector<std::string> nodes;  // of the cluster file
    std::string holder;
    uint64_t epoch = 0;  // higher than any that is known; the rollout goes on under a higher one still
    std::chrono::milliseconds timeout{20'000};  // each question's own
  };
  struct Result {
    std::vector<v1::Reason> refusals;        // servers that did not acknowledge; then there are no reports
    std::vector<core::AgentReport> reports;  // one a node, also of those that did not answer
  };

  Adopting(fleet::Fleet& fleet, Job job, std::function<void(Result)> done);

 private:
  void Claim(const std::string& node, bool server);
  void Claimed(const std::string& node, bool server, const absl::StatusOr<v1::Outcome>& outcome);
  void AskForReports();
  void AskForOperations(size_t at);
  void OneLess();

  fleet::Fleet& fleet_;
  const Job job_;
  std::function<void(Result)> done_;
  Result result_;
  std::vector<fleet::CallHandle> calls_;
  size_t open_ = 0;
  bool reporting_ = false;
};

}  // namespace k3saga::driver
