#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "coordinator/core/planner.h"
#include "coordinator/core/state.h"

// Plans that lead back: a rollback undoes one rollout, a restore brings back the datastore of one backup.
// Pure.
namespace k3saga::core {

// What its journal knows of a rollout that is to be undone.
struct Undone {
  std::string rollout;
  v1::Plan plan;
  bool past_return = false;     // binaries alone do not lead back
  std::vector<Backup> backups;  // the ones it took
  std::map<std::string, uint32_t>
      moved;  // nodes that it left changed: in which order it touched them, from 1
  std::string velero_backup;
};
Undone UndoneOf(const State& state);

// Everything that `undone` changed goes back to what it ran before: by binaries or, past its point of no
// return, with the datastore of the backup it took. kNothingToDo when it left nothing changed. Refused with
// DATA_LOSS, last of all, when writes would be lost and request.consent_data_loss is not set; the plan is
// filled in then all the same, to be shown.
PlanOutcome MakeRollbackPlan(const PlanRequest& request, const Undone& undone,
                             const std::vector<v1::NodeFacts>& facts);

struct RestoreWish {
  std::string backup_id;
  std::string velero_backup;  // taken beside it; "": none
};
// The datastore of that backup, and of every node the release it was taken with where a rollout kept it.
// Workers whose agent does not answer are left out. DATA_LOSS as above.
PlanOutcome MakeRestorePlan(const PlanRequest& request, const RestoreWish& wish,
                            const std::vector<v1::NodeFacts>& facts);

// DescribeWaves (planner.h) for these plans.
std::vector<Wave> DescribeWayBack(const v1::Plan& plan);

}  // namespace k3saga::core
