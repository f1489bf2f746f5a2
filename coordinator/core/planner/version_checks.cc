#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/version.h"
#include "coordinator/core/planner/survey.h"

// Versions: never down, never over a minor, never a worker ahead of a server; and steps with known trouble.
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
                    absl::StrCat("upgrade to a v", from.major(), ".", from.minor() + 1, " release first"));
  }
}

std::optional<Version> OldestServer(const Survey& survey) {
  std::optional<Version> oldest;
  for (const Surveyed& node : survey.nodes) {
    if (node.server() && node.version && (!oldest || *node.version < *oldest)) oldest = node.version;
  }
  return oldest;
}

// "3.5.21" as a number that compares; 0 when it is none.
int EtcdNumber(const std::string& version) {
  int number = 0;
  int parts = 0;
  int part = 0;
  for (const char c : version + ".") {
    if (c >= '0' && c <= '9') {
      part = part * 10 + (c - '0');
    } else if (c == '.' && parts < 3) {
      number = number * 1000 + part;
      part = 0;
      ++parts;
    } else {
      return 0;
    }
  }
  return parts == 3 ? number : 0;
}

bool Crosses(const Survey& survey, const Surveyed& node, int minor) {
  return node.version && survey.target && node.version->minor() < minor && survey.target->minor() >= minor;
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

void CheckKnownTrouble(const Survey& survey, Findings& findings) {
  constexpr int kFirstWithEtcd36 = 34;
  constexpr int kFirstWithoutCgroup1 = 35;
  constexpr int kRenamedRole = 21;
  const int least_etcd = EtcdNumber("3.5.26");
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached()) continue;
    const int etcd = EtcdNumber(node.facts->etcd().version());
    if (Crosses(survey, node, kFirstWithEtcd36) && etcd != 0 && etcd < least_etcd) {
      findings.Refuse(v1::KNOWN_TROUBLE, node.name(),
                      absl::StrCat("v1.34 brings etcd 3.6, which must not follow etcd ",
                                   node.facts->etcd().version(), " (k3s issues 13493, 13485)"),
                      "upgrade to the last patch of the running minor first: it has etcd 3.5.26 or later");
    }
    if (Crosses(survey, node, kFirstWithoutCgroup1) && node.facts->cgroup_version() == 1) {
      findings.Refuse(v1::KNOWN_TROUBLE, node.name(), "from v1.35 on the kubelet refuses to run on cgroup v1",
                      "boot this node with cgroup v2 (systemd.unified_cgroup_hierarchy=1)");
    }
    if (node.server() && Crosses(survey, node, kRenamedRole)) {
      findings.Notice(
          v1::KNOWN_TROUBLE, node.name(),
          "from v1.20 to v1.21 servers that are not yet upgraded restart by themselves every half minute",
          "expected; the rollout takes the one that restarted next");
    }
  }
}

}  // namespace k3saga::core
