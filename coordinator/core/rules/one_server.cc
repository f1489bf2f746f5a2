#include "common/reason.h"
#include "coordinator/core/rules/rules.h"

namespace k3saga::core {
namespace {

// Its k3s may be down now or any moment. Node Ready may still be awaited while the next server goes (its own
// cordon keeps only new pods away meanwhile), but not when its pods were drained and have to come back first.
bool Open(const NodeState& server, Direction direction) {
  if (server.fate == Fate::kTouching) return true;
  const bool joins = server.verb == Verb::kRejoin || server.verb == Verb::kRestoreDatastore;
  if (joins && server.open_operation != 0) return true;
  if (direction == Direction::kBack) return false;  // the way back repairs, worst first
  if (server.fate == Fate::kUnknown) return true;
  return server.in_flight() && ((server.drained && server.ours_cordoned()) || !server.moved());
}

// Cordoned, perhaps drained, and its k3s as it was: it waits until the one that may be half-way is through.
// (Two begun servers are found where a rollout is adopted.)
bool OnlyKeptFromPods(const NodeState& server) { return server.fate == Fate::kAsFound && !server.busy(); }

}  // namespace

Verdict OneServer(const State& state, const Context& context) {
  if (!context.node.server) return {};
  const Act act = context.act;
  if (act == Act::kStop || act == Act::kSwap || act == Act::kReset)
    return {};  // all of them are down, by design
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& other = state.nodes[i];
    if (other.index == context.node.index || !Open(other, context.direction)) continue;
    if (context.node.fate == Fate::kUnknown && OnlyKeptFromPods(other)) continue;
    return {MakeReason(v1::ANOTHER_SERVER_OPEN, other.name(), "this server is not finished yet")};
  }
  return {};
}

}  // namespace k3saga::core
