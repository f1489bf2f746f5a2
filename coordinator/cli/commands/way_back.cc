#include <absl/strings/str_cat.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "common/reason.h"
#include "common/status_macros.h"
#include "coordinator/cli/begin.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/prompt.h"
#include "coordinator/cli/stored_backups.h"
#include "coordinator/core/saga.h"
#include "coordinator/core/way_back.h"
#include "coordinator/view/json.h"
#include "coordinator/view/reports.h"

// rollback and restore: plans that lead back, shown and agreed to before anything is touched.
namespace k3saga::cli {
namespace {

absl::StatusOr<core::State> StateOf(const journal::Journal& journal, const std::string& rollout) {
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<v1::Event> events, journal.Read(rollout));
  core::State state;
  for (const v1::Event& event : events) K3SAGA_RETURN_IF_ERROR(core::Apply(event, state));
  return state;
}

// The one that was asked for, otherwise the cluster's last upgrade.
absl::StatusOr<core::Undone> FindUndone(const Beginning& begin, const std::string& cluster,
                                        const std::string& asked) {
  const auto found =
      std::find_if(begin.rollouts.begin(), begin.rollouts.end(), [&](const journal::RolloutSummary& rollout) {
        if (!asked.empty()) return rollout.rollout == asked;
        return rollout.cluster == cluster && rollout.kind == v1::Plan::UPGRADE;
      });
  if (found == begin.rollouts.end()) {
    return absl::NotFoundError(asked.empty() ? "no upgrade yet that could be rolled back"
                                             : absl::StrCat("no rollout ", asked, "; see: k3saga history"));
  }
  if (found->kind != v1::Plan::UPGRADE) {
    return absl::InvalidArgumentError(absl::StrCat("rollout ", asked,
                                                   " is no upgrade, so that there is nothing to roll back; "
                                                   "see: k3saga history"));
  }
  K3SAGA_ASSIGN_OR_RETURN(const core::State state, StateOf(*begin.journal, found->rollout));
  return core::UndoneOf(state);
}

// What Velero took beside that backup, if this journal knows the rollout.
std::string VeleroBackupBeside(const Beginning& begin, const std::string& backup) {
  for (const journal::RolloutSummary& rollout : begin.rollouts) {
    const absl::StatusOr<core::State> state = StateOf(*begin.journal, rollout.rollout);
    if (!state.ok()) continue;
    const bool took = std::any_of(state->backups.begin(), state->backups.end(),
                                  [&](const core::Backup& each) { return each.result.id() == backup; });
    if (took) return state->velero_backup;
  }
  return "";
}

bool OnlyMisses(const core::PlanOutcome& outcome, v1::ReasonCode consent) {
  return outcome.kind == core::PlanOutcome::Kind::kRefused && outcome.refusals.size() == 1 &&
         outcome.refusals.front().code() == consent;
}

using MakeOutcome = std::function<core::PlanOutcome(const core::PlanRequest&)>;

// Shows the plan, asks for what it needs, and begins it.
ExitCode Agree(const Context& context, Session& session, Beginning& begin, const WayBackConsent& consent,
               const std::vector<v1::NodeFacts>& facts, const MakeOutcome& make) {
  core::PlanRequest request =
      session.MakeRequest("", {.outage = consent.allow_outage, .changed_configuration = false});
  request.consent_data_loss = consent.accept_data_loss;
  core::PlanOutcome outcome = make(request);
  bool asked = false;
  bool shown = false;
  const auto show = [&] {
    if (!shown && !context.json())
      context.console.Out(view::PlanPage(outcome.plan, core::DescribeWaves(outcome.plan)));
    shown = true;
  };
  if (OnlyMisses(outcome, v1::CONSENT_MISSING) && !consent.yes) {
    context.console.Out(view::RefusalPage(outcome.refusals));
    if (!Confirm(context.console, "Go on all the same?")) return ExitCode::kRefused;
    request.consent_outage = true;
    outcome = make(request);
  }
  if (OnlyMisses(outcome, v1::DATA_LOSS) && !consent.yes) {
    show();
    if (!ConfirmByName(context.console, request.cluster)) {
      context.console.Note("Nothing was done.\n");
      return ExitCode::kRefused;
    }
    asked = true;
    request.consent_data_loss = true;
    outcome = make(request);
  }
  if (outcome.kind == core::PlanOutcome::Kind::kRefused) return PrintRefusal(context, outcome);
  if (outcome.kind == core::PlanOutcome::Kind::kNothingToDo) {
    context.console.Out(context.json()
                            ? view::ToLine(view::PlanJson(outcome, core::DescribeWaves(outcome.plan))) + "\n"
                            : std::string("Nothing to do: no node runs what that rollout brought.\n"));
    return ExitCode::kDone;
  }
  show();
  if (!consent.yes && !asked &&
      !Confirm(context.console, absl::StrCat("Go back on ", request.cluster, "?"))) {
    context.console.Note("Nothing was done.\n");
    return ExitCode::kDone;
  }
  return BeginRollout(context, session, begin, outcome.plan, facts);
}

ExitCode NobodyToAsk(const Context& context) {
  return InputError(context, absl::InvalidArgumentError(
                                 "nobody to ask: stdin is not a terminal; give --yes, and --accept-data-loss "
                                 "where the datastore goes back"));
}

}  // namespace

ExitCode Run(const RollbackCommand& command, const Context& context) {
  if (!command.consent.yes && !context.console.stdin_is_terminal()) return NobodyToAsk(context);
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  auto begin = OpenToBegin(**session);
  if (!begin.ok()) return NotBegun(context, begin.status());
  auto undone = FindUndone(*begin, (*session)->file().name, command.rollout);
  if (!undone.ok()) return InputError(context, undone.status());
  std::vector<std::string> backups;
  for (const core::Backup& backup : undone->backups) backups.push_back(backup.result.id());
  if (!undone->past_return) backups.clear();  // no datastore goes back
  const auto facts = FactsWithCopy(context, **session, backups);
  if (!facts.ok()) return Failure(context, facts.status());
  return Agree(context, **session, *begin, command.consent, *facts, [&](const core::PlanRequest& request) {
    return core::MakeRollbackPlan(request, *undone, *facts);
  });
}

ExitCode Run(const RestoreCommand& command, const Context& context) {
  if (!command.consent.yes && !context.console.stdin_is_terminal()) return NobodyToAsk(context);
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  auto begin = OpenToBegin(**session);
  if (!begin.ok()) return NotBegun(context, begin.status());
  const core::RestoreWish wish{command.backup, VeleroBackupBeside(*begin, command.backup)};
  const auto facts = FactsWithCopy(context, **session, {command.backup});
  if (!facts.ok()) return Failure(context, facts.status());
  return Agree(context, **session, *begin, command.consent, *facts, [&](const core::PlanRequest& request) {
    return core::MakeRestorePlan(request, wish, *facts);
  });
}

}  // namespace k3saga::cli
