#include "coordinator/cli/begin.h"

#include <absl/strings/str_cat.h>

#include <random>

#include "common/protocol.h"
#include "common/reason.h"
#include "common/status_macros.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/hops.h"
#include "coordinator/cli/rollout_runner.h"
#include "coordinator/driver/identity.h"

namespace k3saga::cli {
namespace {

absl::Status Unfinished(const journal::RolloutSummary& rollout) {
  return ReasonError(
      MakeReason(v1::CLUSTER_HELD, rollout.cluster,
                 absl::StrCat("rollout ", rollout.rollout, " to ", rollout.to_version, " is not finished"),
                 absl::StrCat("`k3saga resume ", rollout.rollout, "` goes on with it, `k3saga abort ",
                              rollout.rollout, "` ends it")));
}

}  // namespace

absl::StatusOr<Beginning> OpenToBegin(const Session& session) {
  Beginning begin;
  K3SAGA_ASSIGN_OR_RETURN(begin.journal, journal::SqliteJournal::OpenToWrite(
                                             JournalPath(session.state_folder()), journal::ThisProcess()));
  K3SAGA_ASSIGN_OR_RETURN(begin.rollouts, begin.journal->List());
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<journal::RolloutSummary> unfinished,
                          journal::FindUnfinished(*begin.journal, session.file().name));
  if (!unfinished.empty()) return Unfinished(unfinished.front());
  return begin;
}

ExitCode NotBegun(const Context& context, const absl::Status& status) {
  if (ReasonOf(status).code() != v1::CLUSTER_HELD) return Failure(context, status);
  core::PlanOutcome outcome;
  outcome.refusals.push_back(ReasonOf(status));
  return PrintRefusal(context, outcome);
}

v1::RolloutCreated MakeCreated(const Context& context, const v1::Plan& plan,
                               const std::vector<v1::NodeFacts>& facts,
                               const std::vector<journal::RolloutSummary>& rollouts) {
  v1::RolloutCreated created;
  created.set_rollout(driver::MakeRolloutId(context.clock.WallUnixMillis(), std::random_device()()));
  *created.mutable_plan() = plan;
  created.set_holder(journal::ThisProcess().who);
  created.set_epoch(driver::NextEpoch(facts, rollouts));
  created.set_program_version(K3SAGA_VERSION);
  created.set_protocol(kProtocol);
  return created;
}

ExitCode BeginRollout(const Context& context, Session& session, Beginning& begin, const v1::Plan& plan,
                      const std::vector<v1::NodeFacts>& facts) {
  const v1::RolloutCreated created = MakeCreated(context, plan, facts, begin.rollouts);
  const ExitCode code = StartRollout(context, session, *begin.journal, created);
  return code == ExitCode::kDone ? RunLaterHops(context, session, *begin.journal, created.rollout()) : code;
}

}  // namespace k3saga::cli
