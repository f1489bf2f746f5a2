#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/version.h"
#include "coordinator/core/planner/survey.h"

// Versions: never down, never over a minor, never a worker ahead of a server.
namespace k3saga::core {
namespace {

void CheckStep(const Version& from, const Version& to, const Surveyed& node, Findings& findings) {
  if (to < from) {
    findings.Refuse(v1::DOWNGRADE, node.name(),
                    absl::StrCat("it runs ", from.ToString(), "; ", to.ToString(), " is older"),
                    "k3s cannot be downgraded; restore a backup of the older release instead");
  } else if (to.major() != from.major() || to.minor() > from.minor() + 1) {
    findings.Refuse(v1::SKIPPED_MINOR, node.name(),
                    absl::StrCat("from ", from.ToString(), " to ", to.ToString(), " skips a minor version"),
                    absl::StrCat("upgrade to a v", from.major(), ".", from.minor() + 1,
                                 " release first, or all the way with: k3saga upgrade --multi-hop"));
  }
}

std::optional<Version> OldestServer(const Survey& survey) {
  std::optional<Version> oldest;
  for (const Surveyed& node : survey.nodes) {
    if (node.server() && node.version && (!oldest || *node.version < *oldest)) oldest = node.version;
  }
  return oldest;
}

}  // namespace

void CheckVersions(const Survey& survey, Findings& findings) {
  if (!survey.target) {
    findings.Refuse(v1::RELEASE_UNAVAILABLE, survey.request->release.version(), "this is not a k3s version",
                    "write one like v1.32.0+k3s1");
    return;
  }
  const std::optional<Version> oldest = OldestServer(survey);
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached() || node.facts->k3s().distribution() != "k3s") continue;
    if (!node.version) {
      findings.Refuse(v1::NODE_UNHEALTHY, node.name(),
                      "neither the running nor the installed version could be read", "see: k3saga nodes");
      continue;
    }
    CheckStep(*node.version, *survey.target, node, findings);
    if (!node.server() && oldest && *oldest < *node.version) {
      findings.Refuse(v1::WORKER_NEWER_THAN_SERVERS, node.name(),
                      absl::StrCat("this worker runs ", node.version->ToString(), ", a server still runs ",
                                   oldest->ToString()),
                      "k3s does not support that: bring the worker back to the servers' version first");
    }
  }
}

void CheckRelease(const Survey& survey, Findings& findings) {
  const std::vector<v1::Reason>& missing = survey.request->release_missing;
  findings.refusals.insert(findings.refusals.end(), missing.begin(), missing.end());
}

}  // namespace k3saga::core
