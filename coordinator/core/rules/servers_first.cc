#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "coordinator/core/rules/rules.h"
#include "coordinator/core/way.h"

namespace k3saga::core {

// A worker is never newer than a server.
Verdict ServersFirst(const State& state, const Context& context) {
  if (context.node.server || context.direction == Direction::kBack || IsWayBack(state.plan())) return {};
  if (state.tally.servers_moved == state.servers()) return {};
  return {MakeReason(v1::SERVERS_FIRST, context.node.name(),
                     absl::StrCat(state.tally.servers_moved, " of ", state.servers(),
                                  " servers run the target; workers follow the servers"))};
}

}  // namespace k3saga::core
