#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/reason.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {

// The first `canary` workers are upgraded and verified before any other is begun.
Verdict CanaryFirst(const State& state, const Context& context) {
  if (context.node.server || context.act != Act::kBegin || context.direction == Direction::kBack) return {};
  const Tally& tally = state.tally;
  const uint32_t canaries = std::min(state.policies().workers().canary(), tally.workers_to_upgrade);
  if (tally.workers_upgraded >= canaries) return {};
  if (tally.workers_upgraded + tally.workers_in_flight < canaries) return {};
  return {MakeReason(v1::CANARY_FIRST, context.node.name(),
                     absl::StrCat(tally.workers_upgraded, " of ", canaries, " canaries are verified"))};
}

}  // namespace k3saga::core
