#include "lab/k3s/readiness.h"

namespace k3saga::lab {

Stage StageOf(const StageInput& input) {
  const auto past = [&input](int64_t percent) { return input.elapsed_ms * 100 >= input.start_ms * percent; };
  if (!past(25)) return Stage::kPortClosed;
  if (input.etcd_ok_ms < 0 || !past(60)) return Stage::kStarting;
  if (!past(70)) return Stage::kNoRoutes;
  return past(100) && !input.never_ready ? Stage::kReady : Stage::kHooks;
}

}  // namespace k3saga::lab
