#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/prompt.h"
#include "coordinator/cli/rollout_runner.h"
#include "coordinator/core/adopt.h"
#include "coordinator/core/claim.h"
#include "coordinator/core/saga.h"
#include "coordinator/driver/standing.h"
#include "coordinator/journal/sqlite_journal.h"

namespace k3saga::cli {
namespace {

ExitCode Refuse(const Context& context, std::vector<v1::Reason> refusals) {
  core::PlanOutcome outcome;
  outcome.refusals = std::move(refusals);
  return PrintRefusal(context, outcome);
}

// What in this machine's own journal is in the way of adopting `kept`; nullopt: nothing.
absl::StatusOr<std::optional<v1::Reason>> InTheWay(const journal::Journal& journal,
                                                   const std::string& cluster, const core::KeptRollout& kept,
                                                   const std::vector<v1::NodeFacts>& facts) {
  auto unfinished = journal::FindUnfinished(journal, cluster);
  if (!unfinished.ok()) return unfinished.status();
  for (const journal::RolloutSummary& rollout : *unfinished) {
    if (rollout.rollout != kept.created.rollout()) {
      return MakeReason(v1::CLUSTER_HELD, rollout.cluster,
                        absl::StrCat("rollout ", rollout.rollout, " of this machine is not finished"),
                        absl::StrCat("`k3saga abort ", rollout.rollout, "` ends it"));
    }
    auto events = journal.Read(rollout.rollout);
    if (!events.ok()) return events.status();
    core::State state;
    for (const v1::Event& event : *events) {
      if (absl::Status status = core::Apply(event, state); !status.ok()) return status;
    }
    if (!driver::WhoElseHolds(state, facts, journal::ThisProcess().host)) {
      return MakeReason(v1::CLUSTER_HELD, rollout.cluster,
                        absl::StrCat("this machine has the journal of rollout ", rollout.rollout),
                        absl::StrCat("`k3saga resume ", rollout.rollout, "` goes on with it"));
    }
  }
  return std::nullopt;
}

std::string About(const core::KeptRollout& kept) {
  const v1::Plan& plan = kept.created.plan();
  std::string about =
      absl::StrCat("Rollout ", kept.created.rollout(), " of ", plan.cluster(), ", from ", plan.from_version(),
                   " to ", plan.to_version(), ", is held by ", core::DescribeClaim(kept.claim), ".\n",
                   "If that process still runs, it is refused everywhere once this one has taken over.\n");
  if (plan.has_restore_from()) {
    about +=
        "It brings the datastore back, and where that stands was in its journal only: it is ended, and the "
        "cluster is free for `k3saga restore`.\n";
  }
  return about;
}

}  // namespace

ExitCode Run(const AdoptCommand& command, const Context& context) {
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  auto journal =
      journal::SqliteJournal::OpenToWrite(JournalPath((*session)->state_folder()), journal::ThisProcess());
  if (ReasonOf(journal.status()).code() == v1::CLUSTER_HELD)
    return Refuse(context, {ReasonOf(journal.status())});
  if (!journal.ok()) return Failure(context, journal.status());

  const std::vector<v1::NodeFacts> facts = (*session)->GatherKept();
  core::KeptRollout kept = core::FindKept(facts);
  if (!kept.refusals.empty()) return Refuse(context, std::move(kept.refusals));
  auto in_the_way = InTheWay(**journal, (*session)->file().name, kept, facts);
  if (!in_the_way.ok()) return Failure(context, in_the_way.status());
  if (*in_the_way) return Refuse(context, {**in_the_way});

  if (!command.take_over) {
    if (!context.console.stdin_is_terminal()) {
      return Refuse(context, {MakeReason(v1::CLUSTER_HELD, kept.created.plan().cluster(),
                                         absl::StrCat("rollout ", kept.created.rollout(), " is held by ",
                                                      core::DescribeClaim(kept.claim)),
                                         "`k3saga adopt --take-over` takes it over without a question")});
    }
    context.console.Note(About(kept));
    if (!Confirm(context.console, "Take it over?")) {
      context.console.Note("Nothing was done.\n");
      return ExitCode::kRefused;
    }
  }
  return AdoptRollout(context, **session, **journal, kept.created, facts);
}

}  // namespace k3saga::cli
