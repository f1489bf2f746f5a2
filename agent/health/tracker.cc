#include "agent/health/tracker.h"

#include <algorithm>

namespace k3saga::health {

using std::chrono::milliseconds;

void ReadinessTracker::See(const Observation& observation) {
  if (last_ && observation.at < last_->at) {
    return;
  }
  const bool running = observation.process.pid != 0;
  const bool replaced = running && last_running_.pid != 0 && !(observation.process == last_running_);
  const bool unwatched = last_ && observation.at - last_->at > kLongestGap;
  if (replaced) {
    ++restarts_;
  }
  if (running) {
    last_running_ = observation.process;
  }
  if (!observation.ready || !running) {
    ready_since_.reset();
  } else if (!last_) {
    ready_since_ = observation.at - std::max(observation.process_age - kTimeToStart, milliseconds(0));
  } else if (!ready_since_ || replaced || unwatched) {
    ready_since_ = observation.at;
  }
  last_ = observation;
}

milliseconds ReadinessTracker::ready_for() const {
  return ready_since_ ? last_->at - *ready_since_ : milliseconds(0);
}

}  // namespace k3saga::health
