#include "coordinator/view/model.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/reason.h"
#include "coordinator/core/way.h"
#include "coordinator/view/words.h"

namespace k3saga::view {
namespace {

bool LeftTheWayForward(const core::State& state) {
  return state.ended() ||
         std::any_of(state.steps.begin(), state.steps.end(), [](const core::StepState& step) {
           return step.step == v1::STEP_RESTORE_FROM_BACKUP || step.step == v1::STEP_CLEAN_UP ||
                  step.because.code() != v1::REASON_UNSPECIFIED;
         });
}

Standing StandingOf(const core::State& state, size_t entered) {
  if (entered + 1 < state.steps.size()) {
    if (state.steps[entered].step == v1::STEP_UPGRADE_WORKERS && state.tally.workers_failed > 0)
      return Standing::kFailed;
    // Whoever enters a step because of something leaves the one before it unfinished.
    return state.steps[entered + 1].because.code() == v1::REASON_UNSPECIFIED ? Standing::kDone
                                                                             : Standing::kFailed;
  }
  if (!state.ended()) return Standing::kRunning;
  const bool way_back_done = state.steps[entered].step == v1::STEP_RESTORE_FROM_BACKUP
                                 ? state.result == v1::RolloutEnded::COMPENSATED
                                 : state.steps[entered].step == v1::STEP_CLEAN_UP;
  return state.result == v1::RolloutEnded::SUCCEEDED || way_back_done ? Standing::kDone : Standing::kFailed;
}

void Count(const core::State& state, StepRow* row) {
  switch (row->step) {
    case v1::STEP_STAGE_RELEASE:
      if (row->standing != Standing::kRunning)
        break;  // staged files are dropped at the end: nothing to count
      row->total = static_cast<uint32_t>(state.nodes.size());
      row->done = static_cast<uint32_t>(
          std::count_if(state.nodes.begin(), state.nodes.end(),
                        [](const core::NodeState& node) { return node.staged || node.plan->at_target(); }));
      break;
    case v1::STEP_UPGRADE_SERVERS:
    case v1::STEP_PUT_BACK_SERVERS:
      row->total = state.tally.servers;
      row->done = state.tally.servers_moved;
      break;
    case v1::STEP_UPGRADE_WORKERS:
      row->total = state.tally.workers_to_upgrade;
      row->done = state.tally.workers_upgraded;
      break;
    case v1::STEP_STOP_SERVERS:
      if (row->standing != Standing::kRunning) break;  // they are started again later
      row->total = state.tally.servers;
      row->done = static_cast<uint32_t>(std::count_if(
          state.nodes.begin(), state.nodes.end(), [](const core::NodeState& node) { return node.stopped; }));
      break;
    case v1::STEP_REJOIN_SERVERS:
      row->total = state.tally.servers;
      row->done = core::RestoredServers(state);
      break;
    case v1::STEP_RESTART_WORKERS:
      row->total = state.tally.workers;
      row->done =
          static_cast<uint32_t>(std::count_if(state.nodes.begin() + state.servers(), state.nodes.end(),
                                              [](const core::NodeState& node) { return node.restored; }));
      break;
    default:
      break;
  }
}

// The part of the datastore's way back, Verify with it.
bool IsWayBackStep(v1::Step step) { return step >= v1::STEP_PUT_BACK_WORKERS || step == v1::STEP_VERIFY; }

// Of the way it is on; where a compensation took the datastore's way back, of both.
std::vector<v1::Step> StepsToCome(const core::State& state) {
  std::vector<v1::Step> steps = core::WayOf(state.plan());
  if (!state.restores || core::IsWayBack(state.plan())) return steps;
  steps.pop_back();  // both end with Verify
  v1::Step step = v1::STEP_PUT_BACK_WORKERS;
  for (; step != v1::STEP_CLEAN_UP; step = core::StepAfter(state, step)) steps.push_back(step);
  return steps;
}

std::vector<StepRow> BuildSteps(const core::State& state, int64_t now_ms) {
  std::vector<StepRow> rows;
  for (size_t i = 0; i < state.steps.size(); ++i) {
    const core::StepState& entered = state.steps[i];
    StepRow row;
    row.step = entered.step;
    row.standing = StandingOf(state, i);
    const int64_t end = entered.left_ms != 0 ? entered.left_ms : state.ended() ? state.ended_ms : now_ms;
    row.elapsed_ms = std::max<int64_t>(0, end - entered.entered_ms);
    if (entered.because.code() != v1::REASON_UNSPECIFIED) row.because = Describe(entered.because);
    Count(state, &row);
    rows.push_back(std::move(row));
  }
  for (v1::Step step : StepsToCome(state)) {
    const bool entered = std::any_of(state.steps.begin(), state.steps.end(),
                                     [step](const core::StepState& seen) { return seen.step == step; });
    if (entered) continue;
    StepRow row;
    row.step = step;
    const bool comes =
        state.restores && !state.ended() && state.step != v1::STEP_CLEAN_UP && IsWayBackStep(step);
    row.standing = LeftTheWayForward(state) && !comes ? Standing::kSkipped : Standing::kPending;
    Count(state, &row);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string VersionOf(const core::State& state, const core::NodeState& node) {
  switch (node.fate) {
    case core::Fate::kMoved:
      return core::IsWayBack(state.plan()) ? core::TargetOf(state, node) : state.plan().to_version();
    case core::Fate::kAsFound:
    case core::Fate::kBack:
      return node.plan->from_version();
    case core::Fate::kTouching:
    case core::Fate::kBroken:
    case core::Fate::kUnknown:
      return "unknown";
  }
  return "unknown";
}

Standing StandingOf(const core::NodeState& node, core::Phase phase) {
  switch (phase) {
    case core::Phase::kUpgraded:
    case core::Phase::kUnchanged:
    case core::Phase::kReturned:
      return Standing::kDone;
    case core::Phase::kPutBack:
      return node.failed ? Standing::kFailed : Standing::kDone;
    case core::Phase::kFailed:
      return Standing::kFailed;
    case core::Phase::kSkipped:
      return Standing::kSkipped;
    case core::Phase::kPending:
    case core::Phase::kStaged:
      return node.failed ? Standing::kFailed : Standing::kPending;
    default:
      return Standing::kRunning;
  }
}

std::string ProgressWords(const v1::Progress& progress) {
  std::string words = progress.phase();
  if (progress.percent() > 0) absl::StrAppend(&words, " ", progress.percent(), " %");
  if (!progress.detail().empty()) absl::StrAppend(&words, words.empty() ? "" : ": ", progress.detail());
  return words;
}

std::string JoinReasons(const std::vector<v1::Reason>& reasons) {
  std::string text;
  for (const v1::Reason& reason : reasons) absl::StrAppend(&text, text.empty() ? "" : "; ", Describe(reason));
  return text;
}

NodeRow BuildNode(const core::State& state, const core::NodeState& node, const Telemetry& telemetry) {
  NodeRow row;
  row.name = node.name();
  row.role = node.plan->role();
  row.phase = core::PhaseOf(node);
  row.standing = StandingOf(node, row.phase);
  row.version = VersionOf(state, node);
  row.ours = node.cordon == core::Cordon::kOurs;
  const auto heard = telemetry.find(row.name);
  if (node.failed || row.phase == core::Phase::kFailed || row.phase == core::Phase::kPutBack ||
      row.phase == core::Phase::kSkipped || row.phase == core::Phase::kWaitingToRetry) {
    row.reason = node.reason;
    if (node.reason.code() != v1::REASON_UNSPECIFIED) row.note = Describe(node.reason);
  } else if (!state.ended() && state.held_node == row.name && !state.held.empty()) {
    row.reason = state.held.front();
    row.note = absl::StrCat("waits: ", JoinReasons(state.held));
  } else if (heard != telemetry.end() && state.open_operations.count(heard->second.sequence) > 0) {
    row.note = ProgressWords(heard->second.progress);
  } else if (row.phase == core::Phase::kUnchanged) {
    row.note = "ran the target before";
  } else if (node.cordon == core::Cordon::kTheirs) {
    row.note = "cordoned before, stays so";
  }
  return row;
}

}  // namespace

Model BuildModel(const core::State& state, const Telemetry& telemetry, int64_t now_ms) {
  Model model;
  model.rollout = state.rollout();
  model.kind = state.plan().kind();
  model.cluster = state.plan().cluster();
  model.from = state.plan().from_version();
  model.to = state.plan().to_version();
  model.holder = state.holder;
  model.headline = state.ended()    ? Headline::kEnded
                   : state.aborting ? Headline::kAborting
                   : !state.paused  ? Headline::kRunning
                   : state.quiet()  ? Headline::kPaused
                                    : Headline::kPausing;
  model.result = state.result;
  model.reason =
      state.ended() && state.end_reason.code() != v1::REASON_UNSPECIFIED ? state.end_reason : state.stop;
  model.created_ms = state.created_ms;
  model.elapsed_ms = std::max<int64_t>(0, (state.ended() ? state.ended_ms : now_ms) - state.created_ms);
  model.past_return = state.past_return;
  const v1::BackupResult* restored = core::RestoreSourceOf(state).backup;
  if (state.data_restored && restored != nullptr) model.lost_since_ms = restored->taken_unix_ms();
  model.steps = BuildSteps(state, now_ms);
  for (const core::NodeState& node : state.nodes) model.nodes.push_back(BuildNode(state, node, telemetry));
  if (!state.ended()) {
    model.held_node = state.held_node;
    model.held = state.held;
  }
  model.backups = state.backups;
  return model;
}

std::string HeadlineWord(const Model& model) {
  switch (model.headline) {
    case Headline::kRunning:
      return "running";
    case Headline::kPausing:
      return "pausing";
    case Headline::kPaused:
      return "paused";
    case Headline::kAborting:
      return "aborting";
    case Headline::kEnded:
      return ResultKey(model.result);
  }
  return "unknown";
}

}  // namespace k3saga::view
