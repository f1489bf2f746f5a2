#include "coordinator/core/planner/hops.h"

#include <absl/strings/str_cat.h>

#include "coordinator/core/planner/survey.h"

namespace k3saga::core {

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
    for (v1::NodeFacts& node : facts) {
      node.mutable_k3s()->set_running_version(hops[i - 1]);
      node.mutable_k3s()->set_binary_version(hops[i - 1]);
      node.mutable_etcd()->clear_version();  // that release's, which we do not know
    }
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
