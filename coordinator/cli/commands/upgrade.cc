#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "common/protocol.h"
#include "common/reason.h"
#include "coordinator/cli/channel.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/prompt.h"
#include "coordinator/cli/rollout_runner.h"
#include "coordinator/driver/identity.h"
#include "coordinator/journal/sqlite_journal.h"
#include "coordinator/view/json.h"
#include "coordinator/view/reports.h"

namespace k3saga::cli {
namespace {

// Another process, or an unfinished rollout, holds the cluster: refused, and nothing was touched.
ExitCode Held(const Context& context, const absl::Status& status) {
  core::PlanOutcome outcome;
  outcome.refusals.push_back(ReasonOf(status));
  return PrintRefusal(context, outcome);
}

absl::Status Unfinished(const journal::RolloutSummary& rollout) {
  return ReasonError(
      MakeReason(v1::CLUSTER_HELD, rollout.cluster,
                 absl::StrCat("rollout ", rollout.rollout, " to ", rollout.to_version, " is not finished"),
                 absl::StrCat("`k3saga resume ", rollout.rollout, "` goes on with it, `k3saga abort ",
                              rollout.rollout, "` ends it")));
}

bool OnlyConsentIsMissing(const core::PlanOutcome& outcome) {
  return outcome.kind == core::PlanOutcome::Kind::kRefused && !outcome.refusals.empty() &&
         std::all_of(outcome.refusals.begin(), outcome.refusals.end(),
                     [](const v1::Reason& reason) { return reason.code() == v1::CONSENT_MISSING; });
}

v1::RolloutCreated MakeCreated(const Context& context, const core::PlanOutcome& outcome,
                               const std::vector<v1::NodeFacts>& facts,
                               const std::vector<journal::RolloutSummary>& rollouts) {
  v1::RolloutCreated created;
  created.set_rollout(driver::MakeRolloutId(context.clock.WallUnixMillis(), std::random_device()()));
  *created.mutable_plan() = outcome.plan;
  created.set_holder(journal::ThisProcess().who);
  created.set_epoch(driver::NextEpoch(facts, rollouts));
  created.set_program_version(K3SAGA_VERSION);
  created.set_protocol(kProtocol);
  return created;
}

}  // namespace

ExitCode Run(const UpgradeCommand& command, const Context& context) {
  if (!command.yes && !context.console.stdin_is_terminal()) {
    return InputError(
        context, absl::InvalidArgumentError("nobody to ask: stdin is not a terminal; give --yes to upgrade "
                                            "without a question"));
  }
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  auto target = ResolveTarget(command.to, (*session)->file().channel_server);
  if (!target.ok()) return InputError(context, target.status());

  // The right to write first: whoever is second learns so before any question.
  auto journal =
      journal::SqliteJournal::OpenToWrite(JournalPath((*session)->state_folder()), journal::ThisProcess());
  if (!journal.ok()) {
    return ReasonOf(journal.status()).code() == v1::CLUSTER_HELD ? Held(context, journal.status())
                                                                 : Failure(context, journal.status());
  }
  auto rollouts = (*journal)->List();
  if (!rollouts.ok()) return Failure(context, rollouts.status());
  auto unfinished = journal::FindUnfinished(**journal, (*session)->file().name);
  if (!unfinished.ok()) return Failure(context, unfinished.status());
  if (!unfinished->empty()) return Held(context, Unfinished(unfinished->front()));

  const std::vector<v1::NodeFacts> facts = ToFacts((*session)->GatherFacts(/*obstacles=*/true));
  core::PlanOutcome outcome = core::MakePlan((*session)->MakeRequest(*target, command.allow_outage), facts);
  if (OnlyConsentIsMissing(outcome) && !command.yes) {
    context.console.Out(view::RefusalPage(outcome.refusals));
    if (!Confirm(context.console, "Go on all the same?")) return ExitCode::kRefused;
    outcome = core::MakePlan((*session)->MakeRequest(*target, true), facts);
  }
  if (outcome.kind == core::PlanOutcome::Kind::kRefused) return PrintRefusal(context, outcome);
  if (outcome.kind == core::PlanOutcome::Kind::kNothingToDo) {
    context.console.Out(context.json()
                            ? view::ToLine(view::PlanJson(outcome, core::DescribeWaves(outcome.plan))) + "\n"
                            : absl::StrCat("Nothing to do: every node runs ", *target, ".\n"));
    return ExitCode::kDone;
  }
  if (!context.json()) context.console.Out(view::PlanPage(outcome.plan, core::DescribeWaves(outcome.plan)));
  if (!command.yes &&
      !Confirm(context.console, absl::StrCat("Upgrade ", outcome.plan.cluster(), " to ", *target, "?"))) {
    context.console.Note("Nothing was done.\n");
    return ExitCode::kDone;
  }
  return StartRollout(context, **session, **journal, MakeCreated(context, outcome, facts, *rollouts));
}

}  // namespace k3saga::cli
