#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/reason.h"
#include "common/version.h"
#include "common/yaml/values.h"
#include "coordinator/cli/channel.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/hops.h"
#include "coordinator/cli/target.h"
#include "coordinator/view/json.h"
#include "coordinator/view/reports.h"

namespace k3saga::cli {
namespace {

std::vector<std::string> NodeNames(const config::ClusterFile& file) {
  std::vector<std::string> names;
  for (const config::ClusterNode& node : file.nodes) names.push_back(node.name);
  return names;
}

bool AllAnswered(const std::vector<view::NodeAnswer>& answers) {
  return std::all_of(answers.begin(), answers.end(),
                     [](const view::NodeAnswer& answer) { return answer.facts.ok(); });
}

// What the newest node runs: a check without a target is about everything but the step.
std::string NewestVersion(const std::vector<view::NodeAnswer>& answers) {
  std::optional<Version> newest;
  for (const view::NodeAnswer& answer : answers) {
    if (!answer.facts.ok()) continue;
    auto version = Version::Parse(answer.facts->k3s().running_version());
    if (version.ok() && (!newest || *newest < *version)) newest = *version;
  }
  return newest ? newest->ToString() : "";
}

ExitCode PrintPlan(const Context& context, const core::PlanOutcome& outcome) {
  if (context.json()) {
    context.console.Out(view::ToPage(view::PlanJson(outcome, core::DescribeWaves(outcome.plan))));
  } else if (outcome.kind == core::PlanOutcome::Kind::kNothingToDo) {
    context.console.Out(absl::StrCat("Nothing to do: every node runs ", outcome.plan.to_version(), ".\n"));
  } else {
    context.console.Out(view::PlanPage(outcome.plan, core::DescribeWaves(outcome.plan)));
  }
  return ExitCode::kDone;
}

}  // namespace

ExitCode InputError(const Context& context, const absl::Status& status) {
  context.console.Error(std::string(status.message()));
  return ExitCode::kUsage;
}

ExitCode Failure(const Context& context, const absl::Status& status) {
  context.console.Error(std::string(status.message()));
  return ExitCode::kFailed;
}

ExitCode PrintRefusal(const Context& context, const core::PlanOutcome& outcome) {
  if (context.json()) {
    context.console.Out(view::ToPage(view::PlanJson(outcome, core::DescribeWaves(outcome.plan))));
  } else {
    context.console.Out(view::RefusalPage(outcome.refusals));
  }
  return ExitCode::kRefused;
}

ExitCode Run(const NodesCommand& command, const Context& context) {
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  std::vector<std::string> only;
  if (!command.show.empty()) {
    const std::vector<std::string> names = NodeNames((*session)->file());
    if (std::find(names.begin(), names.end(), command.show) == names.end()) {
      const std::optional<std::string> meant = yaml::ClosestWord(command.show, names);
      return InputError(context, absl::NotFoundError(absl::StrCat(
                                     command.show, ": is no node of ", (*session)->file().path,
                                     meant ? absl::StrCat("; did you mean ", *meant, "?") : "")));
    }
    only = {command.show};
  }
  const std::vector<view::NodeAnswer> answers = (*session)->GatherFacts(/*obstacles=*/false, only);
  if (context.json()) {
    context.console.Out(view::ToPage(view::NodesJson(answers)));
  } else if (only.empty()) {
    context.console.Out(view::NodesPage(answers));
  } else {
    context.console.Out(view::NodePage(answers.front()));
  }
  return AllAnswered(answers) ? ExitCode::kDone : ExitCode::kFailed;
}

ExitCode Run(const CheckCommand& command, const Context& context) {
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  std::string target = command.to;
  if (!target.empty()) {
    auto resolved = ResolveTarget(target, (*session)->file().channel_server);
    if (!resolved.ok()) return InputError(context, resolved.status());
    target = *resolved;
  }
  const std::vector<view::NodeAnswer> answers = (*session)->GatherFacts(/*obstacles=*/true);
  if (target.empty()) target = NewestVersion(answers);
  if (target.empty()) {
    core::PlanOutcome nobody;
    for (const v1::NodeFacts& facts : ToFacts(answers)) {
      nobody.refusals.insert(nobody.refusals.end(), facts.problems().begin(), facts.problems().end());
    }
    return PrintRefusal(context, nobody);
  }
  core::PlanRequest request = (*session)->MakeRequest(target, command.consent);
  const std::vector<v1::NodeFacts> facts = ToFacts(answers);
  if (!command.to.empty()) LookAtTarget(**session, facts, {target}, &request);
  const core::PlanOutcome outcome = core::Examine(request, facts);
  if (outcome.kind == core::PlanOutcome::Kind::kRefused) return PrintRefusal(context, outcome);
  if (context.json()) {
    context.console.Out(view::ToPage(view::PlanJson(outcome, core::DescribeWaves(outcome.plan))));
    return ExitCode::kDone;
  }
  context.console.Out(command.to.empty()
                          ? "Nothing is in the way of an upgrade.\n"
                          : absl::StrCat("Nothing is in the way of an upgrade to ", target, ".\n"));
  for (const v1::Reason& notice : outcome.plan.notices()) {
    context.console.Out(std::vector<view::Line>{{{"Note: ", view::Tone::kWarning}, {Describe(notice)}}});
  }
  return ExitCode::kDone;
}

ExitCode Run(const PlanCommand& command, const Context& context) {
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  auto target = ResolveTarget(command.to, (*session)->file().channel_server);
  if (!target.ok()) return InputError(context, target.status());
  const std::vector<v1::NodeFacts> facts = ToFacts((*session)->GatherFacts(/*obstacles=*/true));
  auto hops = FindHops((*session)->file(), facts, *target, command.hops);
  if (!hops.ok()) return InputError(context, hops.status());
  core::PlanRequest request = (*session)->MakeRequest(hops->front(), command.consent);
  if (hops->size() > 1 && !command.hops.multi_hop) return RefuseHops(context, request, facts, *hops);
  LookAtTarget(**session, facts, *hops, &request);
  const core::PlanOutcome outcome = PlanHops(request, facts, *hops);
  if (outcome.kind == core::PlanOutcome::Kind::kRefused) return PrintRefusal(context, outcome);
  return PrintPlan(context, outcome);
}

}  // namespace k3saga::cli
