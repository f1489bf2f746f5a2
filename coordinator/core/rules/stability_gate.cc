#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "coordinator/core/rules/cluster.h"
#include "coordinator/core/rules/rules.h"

// Not "this one is ready" but "all servers have been ready, with the same main process, for the settle time".
namespace k3saga::core {
namespace {

// `needed_ms` 0: ready is enough.
void JudgeServer(const State& state, const NodeState& server, uint64_t needed_ms, Verdict& verdict) {
  const v1::ServerProof* proof = ProofOf(state, server);
  if (proof == nullptr || !proof->reachable()) {
    verdict.push_back(MakeReason(v1::NODE_UNREACHABLE, server.name(), "its agent did not answer"));
  } else if (!proof->ready()) {
    verdict.push_back(
        MakeReason(v1::SERVER_NOT_READY, server.name(),
                   absl::StrCat("it is not ready", proof->note().empty() ? "" : ": ", proof->note())));
  } else if (proof->ready_for_ms() < needed_ms) {
    const bool crashed = server.crashed_at != 0;
    // The note has k3s's last words.
    const std::string why = crashed ? absl::StrCat("it restarted though nobody touched it",
                                                   proof->note().empty() ? "" : ": ", proof->note(), "; ")
                                    : "";
    verdict.push_back(MakeReason(crashed ? v1::SERVER_RESTARTED : v1::SERVER_NOT_SETTLED, server.name(),
                                 absl::StrCat(why, "ready for ", proof->ready_for_ms() / 1000, " s of the ",
                                              needed_ms / 1000, " s to settle")));
  }
}

}  // namespace

Verdict StabilityGate(const State& state, const Context& context) {
  if (!context.node.server) return {};
  if (context.act != Act::kBegin && context.act != Act::kTouch) return {};  // servers are down by design
  const NodeState& touched = context.node;
  const NodeState* crashed = LastCrashed(state, context.direction);
  const bool goes_next = crashed == &touched;

  Verdict verdict;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    if (&server == &touched) {
      // What is down, or is put back because it failed, or crashes until it is moved, is not waited for.
      if (goes_next || context.direction == Direction::kBack || Down(state, touched)) continue;
    }
    const bool may_crash = goes_next && Pending(server, context.direction);
    JudgeServer(state, server, may_crash ? 0 : SettleMs(state), verdict);
  }
  return verdict;
}

}  // namespace k3saga::core
