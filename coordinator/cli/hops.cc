#include "coordinator/cli/hops.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/host/files.h"
#include "common/reason.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "coordinator/cli/begin.h"
#include "coordinator/cli/channel.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/target.h"
#include "coordinator/core/planner/hops.h"
#include "coordinator/view/json.h"
#include "coordinator/view/reports.h"

namespace k3saga::cli {
namespace {

// The newest release of that minor in a folder of releases (FOLDER/VERSION/...).
std::optional<Version> NewestIn(const std::string& folder, int major, int minor) {
  const auto names = ListDirectory(folder);
  std::optional<Version> newest;
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    const auto version = Version::Parse(name);
    if (!version.ok() || version->major() != major || version->minor() != minor) continue;
    if (!newest || *newest < *version) newest = *version;
  }
  return newest;
}

absl::StatusOr<std::string> NewestPatch(const config::ClusterFile& file, int major, int minor, bool to_go) {
  for (const v1::ReleaseSource& source : file.release.sources()) {
    if (source.kind() != v1::ReleaseSource::COORDINATOR) continue;
    if (const auto newest = NewestIn(source.location(), major, minor)) return newest->ToString();
  }
  const std::string channel = absl::StrCat("v", major, ".", minor);
  if (!to_go) return absl::StrCat(channel, ".x");
  auto resolved = ResolveTarget(channel, file.channel_server);
  if (resolved.ok()) return resolved;
  return absl::NotFoundError(absl::StrCat("which ", channel, " release comes in between? Name it with --via ",
                                          channel, ".x+k3s1 (", std::string(resolved.status().message()),
                                          ")"));
}

// By minor.
absl::StatusOr<std::map<int, std::string>> ParseVia(const std::vector<std::string>& via,
                                                    const std::vector<int>& between, int major) {
  std::map<int, std::string> versions;
  for (const std::string& text : via) {
    K3SAGA_ASSIGN_OR_RETURN(const Version version, Version::Parse(text));
    const bool needed = version.major() == major &&
                        std::find(between.begin(), between.end(), version.minor()) != between.end();
    if (!needed) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--via ", text, ": no hop of that minor version lies between what runs and the target"));
    }
    if (!versions.emplace(version.minor(), version.ToString()).second) {
      return absl::InvalidArgumentError(absl::StrCat("--via ", text, ": that minor version is named twice"));
    }
  }
  return versions;
}

// Why they are not gone without being asked for.
v1::Reason SeveralHops(const std::string& cluster, const std::vector<std::string>& hops) {
  return MakeReason(
      v1::MULTI_HOP, cluster,
      absl::StrCat("the way takes ", hops.size(), " hops, one a minor version: ", absl::StrJoin(hops, ", "),
                   "; each is a rollout with its own backup and verification"),
      "give --multi-hop to go all of them (--via names another patch), or upgrade hop by hop");
}

void ShowPlan(const Context& context, const v1::Plan& plan) {
  if (!context.json()) context.console.Out(view::PlanPage(plan, core::DescribeWaves(plan)));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FindHops(const config::ClusterFile& file,
                                                  const std::vector<v1::NodeFacts>& facts,
                                                  const std::string& target, const HopOptions& options) {
  K3SAGA_ASSIGN_OR_RETURN(const Version to, Version::Parse(target));
  const std::optional<Version> from = core::OldestRunning(facts);
  const std::vector<int> between = from ? core::MinorsBetween(*from, to) : std::vector<int>();
  K3SAGA_ASSIGN_OR_RETURN(const auto named, ParseVia(options.via, between, to.major()));
  std::vector<std::string> hops;
  for (const int minor : between) {
    const auto given = named.find(minor);
    if (given != named.end()) {
      hops.push_back(given->second);
      continue;
    }
    K3SAGA_ASSIGN_OR_RETURN(std::string newest, NewestPatch(file, to.major(), minor, options.multi_hop));
    hops.push_back(std::move(newest));
  }
  hops.push_back(to.ToString());
  return hops;
}

ExitCode RefuseHops(const Context& context, const core::PlanRequest& request,
                    const std::vector<v1::NodeFacts>& facts, const std::vector<std::string>& hops) {
  core::PlanOutcome refused;
  refused.refusals.push_back(SeveralHops(request.cluster, hops));
  nlohmann::ordered_json plans = nlohmann::ordered_json::array();
  for (v1::Plan& plan : core::PlansOfHops(request, facts, hops)) {
    ShowPlan(context, plan);
    const std::vector<core::Wave> waves = core::DescribeWaves(plan);
    plans.push_back(view::PlanJson({core::PlanOutcome::Kind::kPlan, std::move(plan), {}}, waves));
  }
  if (!context.json()) return PrintRefusal(context, refused);
  nlohmann::ordered_json json = view::PlanJson(refused, {});
  json["hops"] = std::move(plans);
  context.console.Out(view::ToPage(json));
  return ExitCode::kRefused;
}

core::PlanOutcome PlanHops(core::PlanRequest request, const std::vector<v1::NodeFacts>& facts,
                           const std::vector<std::string>& hops) {
  request.release.set_version(hops.front());
  core::PlanOutcome outcome = core::MakePlan(request, facts);
  for (v1::Reason& refusal : core::TroubleOnTheWay(request, facts, hops)) {
    outcome.refusals.push_back(std::move(refusal));
    outcome.kind = core::PlanOutcome::Kind::kRefused;
  }
  for (size_t i = 1; i < hops.size(); ++i) outcome.plan.add_later_hops(hops[i]);
  return outcome;
}

ExitCode RunLaterHops(const Context& context, Session& session, journal::SqliteJournal& journal,
                      const std::string& rollout) {
  auto events = journal.Read(rollout);
  if (!events.ok()) return Failure(context, events.status());
  v1::Plan done = events->front().created().plan();
  std::string follows = rollout;
  while (done.later_hops_size() != 0) {
    core::PlanRequest request = core::NextHop(done);
    request.known_trouble = session.known_trouble();
    const std::vector<std::string> hops(done.later_hops().begin(), done.later_hops().end());
    const std::vector<v1::NodeFacts> facts = ToFacts(session.GatherFacts(/*obstacles=*/true));
    LookAtTarget(session, facts, hops, &request);
    core::PlanOutcome outcome = PlanHops(std::move(request), facts, hops);
    if (outcome.kind == core::PlanOutcome::Kind::kRefused) {
      context.console.Note(
          absl::StrCat("The hop to ", hops.front(), " does not start; `k3saga resume` tries again.\n"));
      return PrintRefusal(context, outcome);
    }
    outcome.plan.set_follows(follows);
    if (outcome.kind == core::PlanOutcome::Kind::kPlan) {
      ShowPlan(context, outcome.plan);
      auto rollouts = journal.List();
      if (!rollouts.ok()) return Failure(context, rollouts.status());
      const v1::RolloutCreated created = MakeCreated(context, outcome.plan, facts, *rollouts);
      const ExitCode code = StartRollout(context, session, journal, created);
      if (code != ExitCode::kDone) return code;
      follows = created.rollout();
    }
    done = outcome.plan;  // nothing to do: somebody went that hop meanwhile
  }
  return ExitCode::kDone;
}

absl::StatusOr<std::string> FindOpenChain(const journal::Journal& journal) {
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<journal::RolloutSummary> rollouts, journal.List());
  // By the clock: ids of one second are in no order.
  const auto newest = std::max_element(rollouts.begin(), rollouts.end(), [](const auto& a, const auto& b) {
    return a.created_unix_ms < b.created_unix_ms;
  });
  if (newest == rollouts.end() || newest->result != v1::RolloutEnded::SUCCEEDED) return std::string();
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<v1::Event> events, journal.Read(newest->rollout));
  const bool follows = !events.empty() && events.front().created().plan().later_hops_size() != 0;
  return follows ? newest->rollout : std::string();
}

}  // namespace k3saga::cli
