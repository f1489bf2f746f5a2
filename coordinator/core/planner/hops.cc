#include "coordinator/core/planner/hops.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "common/reason.h"
#include "coordinator/core/planner/survey.h"

namespace k3saga::core {
namespace {

// As if every node ran that hop by now.
void Arrive(const std::string& hop, std::vector<v1::NodeFacts>& facts) {
  for (v1::NodeFacts& node : facts) {
    node.mutable_k3s()->set_running_version(hop);
    node.mutable_k3s()->set_binary_version(hop);
    node.mutable_etcd()->clear_version();  // that release's, which we do not know
  }
}

// "v1.32.x" as a version that can be planned with.
std::string SomePatch(std::string_view hop) {
  absl::string_view minor(hop.data(), hop.size());
  return absl::ConsumeSuffix(&minor, ".x") ? absl::StrCat(minor, ".0+k3s1") : std::string(hop);
}

bool Says(const v1::Plan& plan, const v1::Reason& notice) {
  return std::any_of(plan.notices().begin(), plan.notices().end(),
                     [&](const v1::Reason& each) { return Describe(each) == Describe(notice); });
}

}  // namespace

std::optional<Version> OldestRunning(const std::vector<v1::NodeFacts>& facts) {
  std::optional<Version> oldest;
  for (const v1::NodeFacts& node : facts) {
    const v1::K3sFacts& k3s = node.k3s();
    const auto version =
        Version::Parse(k3s.running_version().empty() ? k3s.binary_version() : k3s.running_version());
    if (version.ok() && (!oldest || *version < *oldest)) oldest = *version;
  }
  return oldest;
}

std::vector<int> MinorsBetween(const Version& from, const Version& to) {
  std::vector<int> minors;
  if (from.major() != to.major()) return minors;
  for (int minor = from.minor() + 1; minor < to.minor(); ++minor) minors.push_back(minor);
  return minors;
}

std::vector<v1::Reason> TroubleOnTheWay(PlanRequest request, std::vector<v1::NodeFacts> facts,
                                        const std::vector<std::string>& hops) {
  std::vector<v1::Reason> all;
  for (size_t i = 1; i < hops.size(); ++i) {
    Arrive(hops[i - 1], facts);
    request.release.set_version(hops[i]);
    Findings findings;
    CheckKnownTrouble(MakeSurvey(request, facts), findings);
    for (v1::Reason& refusal : findings.refusals) {
      refusal.set_detail(absl::StrCat("on the hop to ", hops[i], ": ", refusal.detail()));
      all.push_back(std::move(refusal));
    }
  }
  return all;
}

std::vector<v1::Plan> PlansOfHops(PlanRequest request, std::vector<v1::NodeFacts> facts,
                                  const std::vector<std::string>& hops) {
  std::vector<v1::Plan> plans;
  for (size_t i = 0; i < hops.size(); ++i) {
    request.release.set_version(SomePatch(hops[i]));
    v1::Plan plan = MakePlan(request, facts).plan;
    plan.set_to_version(hops[i]);
    if (i > 0) {
      plan.set_from_version(hops[i - 1]);
      for (v1::PlannedNode& node : *plan.mutable_nodes()) node.set_from_version(hops[i - 1]);
      auto& notices = *plan.mutable_notices();
      notices.erase(std::remove_if(notices.begin(), notices.end(),
                                   [&](const v1::Reason& notice) { return Says(plans.front(), notice); }),
                    notices.end());
    }
    plans.push_back(std::move(plan));
    Arrive(request.release.version(), facts);
  }
  return plans;
}

PlanRequest NextHop(const v1::Plan& done) {
  PlanRequest request;
  request.cluster = done.cluster();
  for (const v1::PlannedNode& node : done.nodes()) {
    request.nodes.push_back({node.name(), node.role(), node.agent_address()});
  }
  request.policies = done.policies();
  request.release = done.release();
  if (done.later_hops_size() != 0) request.release.set_version(done.later_hops(0));
  request.consent_outage = done.consent_outage();
  return request;
}

}  // namespace k3saga::core
