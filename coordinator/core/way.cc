#include "coordinator/core/way.h"

#include <algorithm>
#include <iterator>

namespace k3saga::core {
namespace {

constexpr v1::Step kUpgrade[] = {v1::STEP_PREFLIGHT,       v1::STEP_STAGE_RELEASE,   v1::STEP_BACKUP,
                                 v1::STEP_UPGRADE_SERVERS, v1::STEP_UPGRADE_WORKERS, v1::STEP_VERIFY};
constexpr v1::Step kBinaries[] = {v1::STEP_PREFLIGHT, v1::STEP_PUT_BACK_WORKERS, v1::STEP_PUT_BACK_SERVERS,
                                  v1::STEP_VERIFY};
constexpr v1::Step kDatastore[] = {
    v1::STEP_PREFLIGHT,      v1::STEP_PUT_BACK_WORKERS, v1::STEP_STOP_SERVERS, v1::STEP_RESTORE_DATASTORE,
    v1::STEP_REJOIN_SERVERS, v1::STEP_RESTART_WORKERS,  v1::STEP_VERIFY};

template <size_t kSteps>
v1::Step After(const v1::Step (&way)[kSteps], v1::Step step) {
  const auto* at = std::find(std::begin(way), std::end(way), step);
  if (at == std::end(way) || at + 1 == std::end(way)) return v1::STEP_CLEAN_UP;
  return *(at + 1);
}

}  // namespace

bool IsWayBack(const v1::Plan& plan) { return plan.kind() != v1::Plan::UPGRADE; }

const std::string& TargetOf(const State& state, const NodeState& node) {
  const v1::Plan& plan = state.plan();
  if (IsWayBack(plan)) return node.plan->to_version().empty() ? plan.to_version() : node.plan->to_version();
  const bool back =
      node.going_back || node.fate == Fate::kBack || (state.restores && !node.plan->at_target());
  return back ? node.plan->from_version() : plan.to_version();
}

bool WantsPutBack(const State& state, const NodeState& node) {
  if (node.plan->at_target()) return false;
  if (IsWayBack(state.plan())) return node.fate != Fate::kMoved;
  return node.fate == Fate::kMoved || node.fate == Fate::kBroken || node.fate == Fate::kUnknown;
}

RestoreSource RestoreSourceOf(const State& state) {
  const v1::Plan& plan = state.plan();
  if (plan.has_restore_from()) return {&plan.restore_from(), state.Find(plan.restore_on())};
  if (state.backups.empty()) return {};
  return {&state.backups.front().result, state.Find(state.backups.front().node)};
}

bool RunsEtcd(const NodeState& server) { return server.plan->runs_etcd() || server.plan->member_id() != 0; }

uint32_t RestoredServers(const State& state) {
  return static_cast<uint32_t>(std::count_if(state.nodes.begin(), state.nodes.begin() + state.servers(),
                                             [](const NodeState& server) { return server.restored; }));
}

uint32_t RestoredMembers(const State& state) {
  return static_cast<uint32_t>(
      std::count_if(state.nodes.begin(), state.nodes.begin() + state.servers(),
                    [](const NodeState& server) { return server.restored && RunsEtcd(server); }));
}

v1::Step StepAfter(const State& state, v1::Step step) {
  if (state.restores) return After(kDatastore, step);
  return IsWayBack(state.plan()) ? After(kBinaries, step) : After(kUpgrade, step);
}

std::vector<v1::Step> WayOf(const v1::Plan& plan) {
  if (!IsWayBack(plan)) return {std::begin(kUpgrade), std::end(kUpgrade)};
  if (!plan.has_restore_from()) return {std::begin(kBinaries), std::end(kBinaries)};
  return {std::begin(kDatastore), std::end(kDatastore)};
}

v1::NodeFinished::Result GoalResult(const State& state) {
  if (IsWayBack(state.plan())) return v1::NodeFinished::RETURNED;
  return state.restores ? v1::NodeFinished::PUT_BACK : v1::NodeFinished::UPGRADED;
}

}  // namespace k3saga::core
