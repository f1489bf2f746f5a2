#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "common/host/clock.h"
#include "common/host/loop.h"
#include "coordinator/fleet/fleet.h"

namespace k3saga::driver {

// Follows one operation on one agent to its end. When the stream breaks it asks again, under the same name,
// which attaches to what the agent already does; the waits between grow, with jitter. When the deadline has
// passed the operation counts as UNKNOWN: the agent may or may not have acted.
//
// Loop's thread. Destroying it stops following; the operation goes on.
class OperationFollower {
 public:
  struct Edge {
    Loop& loop;
    const Clock& clock;
    fleet::Fleet& fleet;
    std::function<uint64_t()> random;
  };
  struct Hear {
    std::function<void(const v1::Progress&)> progress;
    // Once. `journal_id`: of the agent journal that answered, "" when none did.
    std::function<void(v1::Outcome outcome, const std::string& journal_id)> settled;
  };

  // Starts at once. `agent`: whose agent runs it.
  OperationFollower(Edge edge, std::string agent, v1::RunRequest request, std::chrono::milliseconds deadline,
                    Hear hear);
  ~OperationFollower();
  OperationFollower(const OperationFollower&) = delete;
  OperationFollower& operator=(const OperationFollower&) = delete;

 private:
  void Ask();
  void Accepted(const v1::RunReply::Accepted& accepted);
  void Ended(absl::StatusOr<v1::Outcome> outcome);
  void AskLater(const absl::Status& because);
  void DeadlinePassed();
  void Settle(v1::Outcome outcome);

  const Edge edge_;
  const std::string agent_;
  const v1::RunRequest request_;
  const std::chrono::milliseconds deadline_;
  const std::chrono::milliseconds deadline_at_;
  const Hear hear_;

  fleet::CallHandle call_;
  Loop::TimerId deadline_timer_ = 0;
  Loop::TimerId retry_timer_ = 0;
  int breaks_ = 0;  // since the agent last answered
  std::string journal_id_;
  absl::Status last_error_;
  bool settled_ = false;
};

// How long to wait after the n-th break in a row (from 0): grows to some seconds, a quarter up or down by
// chance, so that the agents of a whole cluster are not all asked in the same moment.
std::chrono::milliseconds RetryDelay(int breaks, uint64_t random);

}  // namespace k3saga::driver
