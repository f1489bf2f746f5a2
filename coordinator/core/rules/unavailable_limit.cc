#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/reason.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/rules/rules.h"
#include "coordinator/core/tally.h"

namespace k3saga::core {

// Nodes that were away before we came, or of which we do not know, count like those we work on. A node that
// is away itself costs nothing more.
Verdict UnavailableLimit(const State& state, const Context& context) {
  if (context.node.server || context.act != Act::kBegin || context.direction == Direction::kBack) return {};
  if (Unavailable(context.node)) return {};
  const uint32_t limit =
      std::max(1u, Resolve(state.policies().workers().max_unavailable(), state.tally.workers));
  if (state.tally.workers_unavailable < limit) return {};
  return {MakeReason(v1::UNAVAILABLE_LIMIT, context.node.name(),
                     absl::StrCat(state.tally.workers_unavailable, " of ", state.tally.workers,
                                  " workers are unavailable; the limit is ", limit))};
}

}  // namespace k3saga::core
