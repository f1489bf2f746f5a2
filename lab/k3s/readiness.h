#pragma once

#include <cstdint>

namespace k3saga::lab {

// What a server's API answers while it starts, as real k3s does: the port refused, then 503, 404, 500, at
// last 200.
enum class Stage { kPortClosed, kStarting, kNoRoutes, kHooks, kReady };

struct StageInput {
  int64_t elapsed_ms = 0;    // since the process started
  int64_t start_ms = 0;      // how long a start takes at least
  int64_t etcd_ok_ms = -1;   // since etcd was first seen with a leader; -1: not yet
  bool never_ready = false;  // a fault
};
Stage StageOf(const StageInput& input);

}  // namespace k3saga::lab
