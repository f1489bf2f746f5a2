#include "common/reason.h"
#include "coordinator/core/rules/rules.h"
#include "coordinator/core/way.h"

namespace k3saga::core {

Verdict BackupFirst(const State& state, const Context& context) {
  if (context.direction == Direction::kBack || IsWayBack(state.plan())) return {};
  if (!state.policies().backup().enabled() || !state.backups.empty()) return {};
  return {MakeReason(v1::BACKUP_MISSING, "", "the datastore has not been backed up yet")};
}

}  // namespace k3saga::core
