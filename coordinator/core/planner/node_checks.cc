#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "coordinator/core/planner/survey.h"

// Each node by itself: is it one that we know how to upgrade, and in what state is it?
namespace k3saga::core {
namespace {

// The staged binary, the kept one, and what k3s unpacks at its first start.
constexpr uint64_t kDiskNeeded = uint64_t{600} << 20;

std::string RoleName(v1::Role role) { return role == v1::ROLE_SERVER ? "server" : "worker"; }

void CheckServerLayout(const Surveyed& server, Findings& findings) {
  const v1::K3sFacts& k3s = server.facts->k3s();
  if (!k3s.runs_apiserver() && !k3s.runs_etcd()) {
    findings.Refuse(
        v1::NODE_LAYOUT_UNSUPPORTED, server.name(),
        "it runs neither an API server nor an etcd member: nothing could tell whether it is healthy",
        "upgrade this node by hand and leave it out of cluster.yaml");
  }
  if (!k3s.runs_apiserver() && k3s.runs_etcd()) {
    findings.Notice(v1::NODE_LAYOUT_UNSUPPORTED, server.name(), "etcd only: judged by its etcd member");
  }
  if (k3s.runs_apiserver() && !k3s.runs_etcd() && k3s.datastore() == v1::DATASTORE_EMBEDDED_ETCD) {
    findings.Notice(v1::NODE_LAYOUT_UNSUPPORTED, server.name(), "control plane only: judged by its API");
  }
  if (!k3s.runs_kubelet()) {
    findings.Notice(v1::NODE_LAYOUT_UNSUPPORTED, server.name(),
                    "it runs no kubelet: neither cordoned nor drained");
  }
}

}  // namespace

void CheckReached(const Survey& survey, Findings& findings) {
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached()) {
      findings.Refuse(v1::NODE_UNREACHABLE, node.name(),
                      node.unreachable.detail().empty()
                          ? absl::StrCat("its agent does not answer at ", node.wanted->address)
                          : node.unreachable.detail(),
                      "start k3saga-agent there, or correct its address in cluster.yaml");
    }
  }
}

void CheckDistribution(const Survey& survey, Findings& findings) {
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached()) continue;
    const v1::K3sFacts& k3s = node.facts->k3s();
    if (k3s.distribution().empty()) {
      std::string why = "no k3s was found on it";
      for (const v1::Reason& problem : node.facts->problems()) absl::StrAppend(&why, "; ", Describe(problem));
      findings.Refuse(v1::NODE_LAYOUT_UNSUPPORTED, node.name(), why,
                      "install k3s there first, or take the node out of cluster.yaml");
      continue;
    }
    if (k3s.distribution() != "k3s") {
      findings.Refuse(v1::DISTRIBUTION_UNSUPPORTED, node.name(),
                      absl::StrCat("it runs ", k3s.distribution(), "; k3saga upgrades k3s"),
                      "use that distribution's own way to upgrade");
    }
    if (k3s.rancher_managed()) {
      findings.Refuse(v1::RANCHER_MANAGED, node.name(), "Rancher manages this cluster's version",
                      "upgrade it in Rancher, which would undo anything else");
    }
    if (k3s.secrets_encryption_rotating()) {
      findings.Refuse(v1::SECRETS_ENCRYPTION_ROTATING, node.name(),
                      "a rotation of secrets encryption is under way",
                      "finish it: k3s secrets-encrypt status");
    }
  }
}

void CheckLayout(const Survey& survey, Findings& findings) {
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached() || node.facts->k3s().distribution() != "k3s") continue;
    const v1::K3sFacts& k3s = node.facts->k3s();
    if (k3s.role() != node.wanted->role) {
      findings.Refuse(
          v1::ROLE_MISMATCH, node.name(),
          absl::StrCat("cluster.yaml says ", RoleName(node.wanted->role), ", but ", k3s.unit(), " runs a ",
                       RoleName(k3s.role())),
          absl::StrCat("write role: ", RoleName(k3s.role()), " if that is what it is meant to be"));
    } else if (node.server()) {
      CheckServerLayout(node, findings);
    }
  }
}

void CheckDisk(const Survey& survey, Findings& findings) {
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached() || AtTarget(survey, node)) continue;
    const uint64_t free = node.facts->k3s().free_bytes();
    if (free == 0 || free >= kDiskNeeded) continue;  // 0: could not be read, which is a problem of its own
    findings.Refuse(v1::DISK_SPACE, node.name(),
                    absl::StrCat(free >> 20, " MiB are free; an upgrade needs ", kDiskNeeded >> 20, " MiB"),
                    "free space below k3s's data folder and k3saga's state folder");
  }
}

void CheckHealth(const Survey& survey, Findings& findings) {
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached() || node.facts->k3s().distribution() != "k3s") continue;
    const v1::KubeNode* object = NodeObjectOf(survey, node.name());
    if (!node.running()) {
      findings.Notice(v1::NODE_UNHEALTHY, node.name(), "k3s is not running; the upgrade starts it",
                      "counted as unavailable until it is Ready");
    } else if (object != nullptr && !object->ready()) {
      findings.Notice(v1::NODE_UNHEALTHY, node.name(), "its Node object is not Ready",
                      "counted as unavailable until it is");
    }
    for (const v1::Reason& problem : node.facts->problems()) findings.notices.push_back(problem);
  }
}

}  // namespace k3saga::core
