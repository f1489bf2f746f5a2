#include "coordinator/core/pick.h"

namespace k3saga::core {
namespace {

int Worth(const State& state, const NodeState& server, const NodeState& about) {
  const v1::ServerProof* proof = ProofOf(state, server);
  const bool ready = proof == nullptr ? server.plan->was_available() : proof->reachable() && proof->ready();
  const bool free = server.fate != Fate::kTouching;
  const bool another = about.last_asked != static_cast<int32_t>(server.index);
  const bool other = server.index != about.index;
  if (!server.plan->runs_apiserver()) return -1;
  return (ready ? 8 : 0) + (free ? 4 : 0) + (another ? 2 : 0) + (other ? 1 : 0);
}

}  // namespace

const NodeState& PickServer(const State& state, const NodeState& about) {
  const auto servers = state.servers();
  const auto first = static_cast<uint32_t>((state.next_sequence + about.index) % servers);
  const NodeState* best = nullptr;
  int best_worth = -2;
  for (uint32_t i = 0; i < servers; ++i) {
    const NodeState& server = state.nodes[(first + i) % servers];
    const int worth = Worth(state, server, about);
    if (worth > best_worth) {
      best = &server;
      best_worth = worth;
    }
  }
  return *best;
}

}  // namespace k3saga::core
