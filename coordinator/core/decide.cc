#include "common/reason.h"
#include "coordinator/core/saga.h"
#include "coordinator/core/steps/steps.h"
#include "coordinator/core/stop.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

// Another coordinator is current: nothing is asked of anybody any more, not even to clean up.
void GiveWay(Moves& moves) {
  const bool touched = moves.state.touches != 0;
  moves.End(touched ? v1::RolloutEnded::STOPPED : v1::RolloutEnded::REFUSED, moves.state.fenced_reason);
}

// The first step. A rollout that was adopted after a server failed goes on where that is dealt with.
void Begin(Moves& moves) {
  const State& state = moves.state;
  if (state.ends.code() != v1::REASON_UNSPECIFIED) return moves.Enter(v1::STEP_CLEAN_UP, state.ends);
  if (!ServerFailed(state)) return moves.Enter(v1::STEP_PREFLIGHT);
  moves.Enter(IsWayBack(state.plan()) ? v1::STEP_PUT_BACK_SERVERS : v1::STEP_UPGRADE_SERVERS);
}

void DecideStep(Moves& moves) {
  switch (moves.state.step) {
    case v1::STEP_PREFLIGHT:
      return Preflight(moves);
    case v1::STEP_STAGE_RELEASE:
      return StageRelease(moves);
    case v1::STEP_BACKUP:
      return BackUp(moves);
    case v1::STEP_UPGRADE_SERVERS:
      return UpgradeServers(moves);
    case v1::STEP_UPGRADE_WORKERS:
      return UpgradeWorkers(moves);
    case v1::STEP_VERIFY:
      return Verify(moves);
    case v1::STEP_RESTORE_FROM_BACKUP:
      return RestoreFromBackup(moves);
    case v1::STEP_PUT_BACK_WORKERS:
      return PutBackWorkers(moves);
    case v1::STEP_PUT_BACK_SERVERS:
      return PutBackServers(moves);
    case v1::STEP_STOP_SERVERS:
      return StopServers(moves);
    case v1::STEP_RESTORE_DATASTORE:
      return RestoreDatastore(moves);
    case v1::STEP_REJOIN_SERVERS:
      return RejoinServers(moves);
    case v1::STEP_RESTART_WORKERS:
      return RestartWorkers(moves);
    case v1::STEP_CLEAN_UP:
      return CleanUp(moves);
    default:
      return Begin(moves);
  }
}

}  // namespace

std::vector<v1::Event> Decide(const State& state, const RuleTable& rules) {
  if (!state.created() || state.ended()) return {};
  Moves moves(state, rules);
  if (state.fenced) {
    GiveWay(moves);
  } else {
    DecideStep(moves);
    moves.KeepAwake();
  }
  return moves.Take();
}

std::vector<v1::Event> Decide(const State& state) { return Decide(state, AllRules()); }

}  // namespace k3saga::core
