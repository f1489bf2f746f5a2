#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/core/state.h"
#include "k3saga/v1/event.pb.h"
#include "k3saga/v1/operation.pb.h"

namespace k3saga::driver {

// Sees what a rollout does. Called on the loop's thread; must not block, and must not call the driver from
// inside (post instead).
class Observer {
 public:
  virtual ~Observer() = default;

  // New events, durable by now; `first` is the number of the first of them (the rollout's first event is 1).
  // `state` is the fold over all events up to the last of these.
  virtual void OnEvents(uint64_t first, const std::vector<v1::Event>& events, const core::State& state) = 0;

  // Telemetry: not journaled, never seen by a decision. Also tells when an agent cannot be reached (phase
  // "reconnecting") and how far a push is (phase "push"; "fetch" while this machine itself fetches the
  // release).
  virtual void OnProgress(uint64_t sequence, const std::string& node, const v1::Progress& progress) = 0;
};

}  // namespace k3saga::driver
