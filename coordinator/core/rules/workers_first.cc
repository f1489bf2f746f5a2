#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "coordinator/core/rules/rules.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

// Going back, or for ever on its way there.
bool NotYetBack(const State& state, const NodeState& worker) {
  return worker.fate == Fate::kTouching || WantsPutBack(state, worker);
}

}  // namespace

// On the way back it is the servers that wait: a worker is never newer than a server.
Verdict WorkersFirst(const State& state, const Context& context) {
  if (!context.node.server) return {};
  const bool goes_back =
      context.act == Act::kStop ||
      (IsWayBack(state.plan()) && (context.act == Act::kBegin || context.act == Act::kTouch));
  if (!goes_back) return {};
  uint32_t ahead = 0;
  std::string first;
  for (uint32_t i = state.servers(); i < state.nodes.size(); ++i) {
    if (!NotYetBack(state, state.nodes[i])) continue;
    if (++ahead == 1) first = state.nodes[i].name();
  }
  if (ahead == 0) return {};
  return {MakeReason(v1::WORKERS_FIRST, first,
                     absl::StrCat(ahead, ahead == 1 ? " worker is" : " workers are",
                                  " not back yet; servers follow the workers"))};
}

}  // namespace k3saga::core
