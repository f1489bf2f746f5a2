#include "coordinator/core/tally.h"

namespace k3saga::core {
namespace {

// `step` is 1 or, by unsigned arithmetic, -1.
void Count(const NodeState& node, uint32_t step, Tally& tally) {
  const auto count = [step](uint32_t& counter, bool counts) { counter += counts ? step : 0; };
  if (node.server) {
    count(tally.servers, true);
    count(tally.servers_moved, node.moved());
    count(tally.servers_claimed, node.claimed);
    return;
  }
  count(tally.workers, true);
  count(tally.workers_to_upgrade, !node.plan->at_target());
  count(tally.workers_in_flight, node.in_flight());
  count(tally.workers_upgraded,
        node.result == v1::NodeFinished::UPGRADED || node.result == v1::NodeFinished::RETURNED);
  count(tally.workers_failed,
        node.result == v1::NodeFinished::FAILED || node.result == v1::NodeFinished::PUT_BACK);
  count(tally.workers_unavailable, Unavailable(node));
}

}  // namespace

bool Unavailable(const NodeState& node) {
  if (node.in_flight() || node.ours_cordoned()) return true;
  if (node.fate == Fate::kTouching || node.fate == Fate::kUnknown || node.fate == Fate::kBroken) return true;
  if (node.failed && node.fate == Fate::kMoved) return true;  // runs the target, but was never seen Ready
  return !node.plan->was_available() && !node.awaited;
}

NodeEdit::NodeEdit(State& state, uint32_t index) : tally_(state.tally), node_(state.nodes[index]) {
  Count(node_, ~0u, tally_);
}

NodeEdit::~NodeEdit() { Count(node_, 1, tally_); }

void Join(const NodeState& node, Tally& tally) { Count(node, 1, tally); }

}  // namespace k3saga::core
