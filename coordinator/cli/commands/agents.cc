#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "common/reason.h"
#include "common/yaml/values.h"
#include "coordinator/agents/fleet_upgrade.h"
#include "coordinator/agents/preflight.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/prompt.h"
#include "coordinator/driver/identity.h"
#include "coordinator/view/json.h"
#include "coordinator/view/reports.h"

namespace k3saga::cli {
namespace {

using agents::NodeResult;
using State = v1::ReplaceAgentReply;

std::string Word(State::State state) {
  return state == State::STATE_UNSPECIFIED ? "not_begun" : absl::AsciiStrToLower(State::State_Name(state));
}

nlohmann::ordered_json ToJson(const std::string& outcome, const std::vector<v1::Reason>& refusals,
                              const std::vector<NodeResult>& results) {
  nlohmann::ordered_json json = {{"outcome", outcome},
                                 {"refusals", nlohmann::ordered_json::array()},
                                 {"nodes", nlohmann::ordered_json::array()}};
  for (const v1::Reason& reason : refusals) json["refusals"].push_back(view::ReasonJson(reason));
  for (const NodeResult& result : results) {
    json["nodes"].push_back({{"name", result.node},
                             {"state", Word(result.reply.state())},
                             {"from", result.reply.from_version()},
                             {"to", result.reply.to_version()},
                             {"reason", result.reply.has_reason() ? view::ReasonJson(result.reply.reason())
                                                                  : nlohmann::ordered_json()}});
  }
  return json;
}

std::vector<view::Line> Describe(const NodeResult& result) {
  const v1::ReplaceAgentReply& reply = result.reply;
  const std::string reason = reply.has_reason() ? absl::StrCat(": ", k3saga::Describe(reply.reason())) : "";
  switch (reply.state()) {
    case State::REPLACED:
      return {{{absl::StrCat(result.node, ": "), view::Tone::kPlain},
               {absl::StrCat("agent ", reply.from_version(), " replaced by ", reply.to_version()),
                view::Tone::kGood}}};
    case State::UNCHANGED:
      return {{{absl::StrCat(result.node, ": agent ", reply.to_version(), " runs already")}}};
    case State::REFUSED:
      return {{{absl::StrCat(result.node, ": "), view::Tone::kPlain},
               {absl::StrCat("refused, nothing was done", reason), view::Tone::kBad}}};
    case State::PUT_BACK:
      return {{{absl::StrCat(result.node, ": "), view::Tone::kPlain},
               {absl::StrCat("FAILED; agent ", reply.from_version(), " serves again", reason),
                view::Tone::kBad}}};
    default:
      return {{{absl::StrCat(result.node, ": "), view::Tone::kPlain},
               {absl::StrCat("FAILED", reason), view::Tone::kBad}}};
  }
}

absl::Status CheckNames(const AgentsUpgradeCommand& command, const config::ClusterFile& file) {
  std::vector<std::string> names;
  for (const config::ClusterNode& node : file.nodes) names.push_back(node.name);
  for (const std::string& wanted : command.nodes) {
    if (std::find(names.begin(), names.end(), wanted) != names.end()) continue;
    const std::optional<std::string> meant = yaml::ClosestWord(wanted, names);
    return absl::NotFoundError(absl::StrCat(wanted, ": is no node of ", file.path,
                                            meant ? absl::StrCat("; did you mean ", *meant, "?") : ""));
  }
  return absl::OkStatus();
}

ExitCode Refused(const Context& context, const std::vector<v1::Reason>& refusals) {
  if (context.json()) {
    context.console.Out(view::ToPage(ToJson("refused", refusals, {})));
  } else {
    context.console.Out(view::RefusalPage(refusals));
  }
  return ExitCode::kRefused;
}

// The version that is meant, as far as file names tell.
std::string Target(const std::vector<agents::Package>& packages) {
  return packages.front().version.empty() ? packages.front().path : packages.front().version;
}

std::vector<NodeResult> Replace(const Context& context, Session& session,
                                agents::FleetUpgrade::Request request) {
  std::vector<NodeResult> results;
  agents::FleetUpgrade::Hear hear;
  hear.began = [&](const std::string& node) {
    if (!context.json()) context.console.Out(absl::StrCat(node, ": sending and replacing\n"));
  };
  hear.ended = [&](const NodeResult& result) {
    if (!context.json()) context.console.Out(Describe(result));
  };
  hear.done = [&](std::vector<NodeResult> all) {
    results = std::move(all);
    session.loop().Stop();
  };
  const agents::FleetUpgrade upgrade({session.loop(), context.clock, session.fleet()}, std::move(request),
                                     std::move(hear));
  session.loop().Run();
  return results;
}

ExitCode Conclude(const Context& context, const std::vector<NodeResult>& results) {
  const auto count = [&](State::State state) {
    return std::count_if(results.begin(), results.end(),
                         [&](const NodeResult& result) { return result.reply.state() == state; });
  };
  const bool good =
      std::all_of(results.begin(), results.end(), [](const NodeResult& result) { return result.good(); });
  if (context.json()) {
    context.console.Out(view::ToPage(ToJson(good ? "done" : "failed", {}, results)));
  } else if (good) {
    context.console.Out(absl::StrCat("Done: ", count(State::REPLACED), " replaced, ", count(State::UNCHANGED),
                                     " ran that version already.\n"));
  } else {
    context.console.Out(
        absl::StrCat("Stopped: ", count(State::REPLACED), " replaced, ", count(State::STATE_UNSPECIFIED),
                     " not begun. k3s was not touched; run it again when the reason is gone.\n"));
  }
  return good ? ExitCode::kDone : ExitCode::kFailed;
}

}  // namespace

ExitCode Run(const AgentsUpgradeCommand& command, const Context& context) {
  if (!command.yes && !context.console.stdin_is_terminal()) {
    return InputError(context, absl::InvalidArgumentError(
                                   "nobody to ask: stdin is not a terminal; give --yes to replace agents "
                                   "without a question"));
  }
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  if (absl::Status names = CheckNames(command, (*session)->file()); !names.ok())
    return InputError(context, names);
  auto packages = agents::ReadPackages(command.packages);
  if (!packages.ok()) return InputError(context, packages.status());

  const std::vector<v1::NodeFacts> facts =
      agents::InOrder(ToFacts((*session)->GatherFacts(/*obstacles=*/false, command.nodes)));
  const std::vector<v1::Reason> refusals = agents::WhatIsInTheWay(facts, *packages, command.during_rollout);
  if (!refusals.empty()) return Refused(context, refusals);

  agents::FleetUpgrade::Request request;
  request.attempt = driver::MakeRolloutId(context.clock.WallUnixMillis(), std::random_device()());
  request.allow_downgrade = command.allow_downgrade;
  for (const v1::NodeFacts& node : facts) {
    request.members.push_back({node.name(), agents::PackageFor(*packages, node.architecture())});
  }
  if (!command.yes &&
      !Confirm(context.console, absl::StrCat("Bring the agents of ", facts.size(), " nodes to ",
                                             Target(*packages), ", ", facts.front().name(), " first?"))) {
    context.console.Note("Nothing was done.\n");
    return ExitCode::kDone;
  }
  return Conclude(context, Replace(context, **session, std::move(request)));
}

}  // namespace k3saga::cli
