#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/reason.h"
#include "coordinator/cli/begin.h"
#include "coordinator/cli/channel.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/hops.h"
#include "coordinator/cli/prompt.h"
#include "coordinator/cli/target.h"
#include "coordinator/view/json.h"
#include "coordinator/view/reports.h"

namespace k3saga::cli {
namespace {

bool OnlyConsentIsMissing(const core::PlanOutcome& outcome) {
  return outcome.kind == core::PlanOutcome::Kind::kRefused && !outcome.refusals.empty() &&
         std::all_of(outcome.refusals.begin(), outcome.refusals.end(),
                     [](const v1::Reason& reason) { return reason.code() == v1::CONSENT_MISSING; });
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

  auto begin = OpenToBegin(**session);
  if (!begin.ok()) return NotBegun(context, begin.status());

  const std::vector<v1::NodeFacts> facts = ToFacts((*session)->GatherFacts(/*obstacles=*/true));
  auto hops = FindHops((*session)->file(), facts, *target, command.hops);
  if (!hops.ok()) return InputError(context, hops.status());
  core::PlanRequest request = (*session)->MakeRequest(hops->front(), command.consent);
  if (hops->size() > 1 && !command.hops.multi_hop) return RefuseHops(context, request, facts, *hops);
  LookAtTarget(**session, facts, *hops, &request);
  core::PlanOutcome outcome = PlanHops(request, facts, *hops);
  if (OnlyConsentIsMissing(outcome) && !command.yes) {
    context.console.Out(view::RefusalPage(outcome.refusals));
    if (!Confirm(context.console, "Go on all the same?")) return ExitCode::kRefused;
    request.consent_outage = true;
    outcome = PlanHops(request, facts, *hops);
  }
  if (outcome.kind == core::PlanOutcome::Kind::kRefused) return PrintRefusal(context, outcome);
  if (outcome.kind == core::PlanOutcome::Kind::kNothingToDo) {
    context.console.Out(context.json()
                            ? view::ToLine(view::PlanJson(outcome, core::DescribeWaves(outcome.plan))) + "\n"
                            : absl::StrCat("Nothing to do: every node runs ", hops->front(), ".\n"));
    return ExitCode::kDone;
  }
  if (!context.json()) context.console.Out(view::PlanPage(outcome.plan, core::DescribeWaves(outcome.plan)));
  if (!command.yes &&
      !Confirm(context.console, absl::StrCat("Upgrade ", outcome.plan.cluster(), " to ", *target, "?"))) {
    context.console.Note("Nothing was done.\n");
    return ExitCode::kDone;
  }
  return BeginRollout(context, **session, *begin, outcome.plan, facts);
}

}  // namespace k3saga::cli
