#include "coordinator/core/asks.h"
#include "coordinator/core/chain.h"
#include "coordinator/core/restoring.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {

// The one that has the backup first: before it is stopped the backup is looked after (read, or brought from
// its copy), and until then nobody is down. Then all others at once: a datastore is replaced only while
// nobody uses it. Until the first file is replaced there is a way out: whoever was stopped is started again.
void StopServers(Moves& moves) {
  const State& state = moves.state;
  KeepClaims(moves);
  if (const v1::Reason stop = StopsRestoring(state); stop.code() != 0) return LeaveRestoring(moves, stop);
  const NodeState* source = RestoreSourceOf(state).server;
  if (source == nullptr) return;  // a plan without one is never made
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    const bool waits = &server != source && !source->stopped;
    if (server.stopped || waits || Rests(moves, server)) continue;
    const Verdict verdict = Judge(moves.rules, state, {server, Act::kStop, Direction::kBack});
    if (!verdict.empty()) return moves.Hold(server.name(), verdict);
    AskStop(moves, server);
  }
  if (!moves.empty()) return;
  if (Judge(moves.rules, state, {*source, Act::kReset, Direction::kBack}).empty())
    moves.Enter(StepAfter(state, v1::STEP_STOP_SERVERS));
}

}  // namespace k3saga::core
