#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "coordinator/core/planner.h"
#include "coordinator/view/style.h"
#include "k3saga/v1/facts.pb.h"

// Pages that are not about a running rollout: facts, plans, refusals, lists.
namespace k3saga::view {

// What is known of one node of the cluster file: its agent's facts, or why there are none.
struct NodeAnswer {
  std::string name;
  v1::Role role = v1::ROLE_UNSPECIFIED;  // as the cluster file says
  std::string agent;
  absl::StatusOr<v1::NodeFacts> facts;
};

// One rollout in a list.
struct RolloutRow {
  std::string rollout;
  std::string from;
  std::string to;
  std::string state;  // "succeeded", "not finished", ...
  int64_t created_ms = 0;
  int64_t last_ms = 0;
  std::string kind = "upgrade";  // or "rollback", "restore"
};

// One backup, wherever it lies.
struct BackupRow {
  std::string id;
  std::string node;     // that took it
  std::string version;  // k3s then
  int64_t taken_ms = 0;
  uint64_t bytes = 0;
  std::string on_node;  // its folder there; "" = not there (any more)
  std::string copy;     // its folder on this machine; "" = none
};

std::vector<Line> BackupsPage(const std::vector<BackupRow>& rows, const absl::TimeZone& zone);
std::vector<Line> NodesPage(const std::vector<NodeAnswer>& answers);
// Everything the agent read, and where from; secrets are masked by the agent.
std::vector<Line> NodePage(const NodeAnswer& answer);
std::vector<Line> PlanPage(const v1::Plan& plan, const std::vector<core::Wave>& waves);
std::vector<Line> RefusalPage(const std::vector<v1::Reason>& refusals);
std::vector<Line> HistoryPage(const std::vector<RolloutRow>& rows, const absl::TimeZone& zone);

}  // namespace k3saga::view
