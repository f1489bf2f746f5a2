#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/reason.h"
#include "coordinator/core/claim.h"
#include "coordinator/core/planner/survey.h"

// The nodes together: cluster file, Node objects and etcd members have to agree both ways.
namespace k3saga::core {
namespace {

bool RunsKubelet(const Surveyed& node) { return !node.server() || node.facts->k3s().runs_kubelet(); }

const Surveyed* FindByName(const Survey& survey, const std::string& name) {
  for (const Surveyed& node : survey.nodes) {
    if (node.name() == name) return &node;
  }
  return nullptr;
}

const Surveyed* FindByMember(const Survey& survey, const v1::EtcdMember& member) {
  for (const Surveyed& node : survey.nodes) {
    if (!node.server()) continue;
    const v1::EtcdMember* runs = MemberOf(survey, node);
    // Whose agent does not answer is refused for that; its member is not a stranger's.
    const bool its =
        node.reached() ? runs != nullptr && runs->id() == member.id() : NamedAfter(member, node.name());
    if (its) return &node;
  }
  return nullptr;
}

bool SameIds(const v1::EtcdFacts& a, const v1::EtcdFacts& b) {
  const auto ids = [](const v1::EtcdFacts& facts) {
    std::set<uint64_t> all;
    for (const v1::EtcdMember& member : facts.members()) all.insert(member.id());
    return all;
  };
  return ids(a) == ids(b);
}

constexpr char kClearing[] = "docs/recovery.md, \"When etcd is in the way\"";

std::string IdOf(const v1::EtcdMember& member) { return absl::StrCat(absl::Hex(member.id())); }

// One that never started has no name yet.
std::string NameOf(const v1::EtcdMember& member) {
  if (!member.name().empty()) return member.name();
  return absl::StrCat("member ", IdOf(member));
}

// What else it is known by.
std::string Whereabouts(const v1::EtcdMember& member) {
  return absl::StrCat("id ", IdOf(member), member.peer_urls_size() == 0 ? "" : ", " + member.peer_urls(0));
}

void CheckMember(const Survey& survey, const v1::EtcdMember& member, Findings& findings) {
  const Surveyed* runs = FindByMember(survey, member);
  if (runs == nullptr) {
    findings.Refuse(
        v1::MEMBER_WITHOUT_NODE, NameOf(member),
        absl::StrCat("etcd lists this member (", Whereabouts(member),
                     "), but no server in cluster.yaml runs it"),
        absl::StrCat("add its server to cluster.yaml, or remove the member from etcd: ", kClearing));
  }
  if (member.learner()) {
    findings.Refuse(
        v1::MEMBER_LEARNER, NameOf(member),
        absl::StrCat("this etcd member (", Whereabouts(member), ") is a learner, left over from a join"),
        absl::StrCat("wait until it is promoted, or remove it: ", kClearing));
  }
  if (runs != nullptr && member.client_urls_size() == 0 && member.name().empty()) {
    findings.Refuse(v1::MEMBER_UNSTARTED, runs->name(), "its etcd member was added but never started",
                    absl::StrCat("let the join finish, or remove the member: ", kClearing));
  }
}

// "NOSPACE@8e9e05c52164694d", as the agents say it.
void CheckAlarm(const Survey& survey, const std::string& alarm, Findings& findings) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(alarm, absl::MaxSplits('@', 1));
  std::string raiser = "etcd";
  for (const v1::EtcdMember& member : survey.etcd->members()) {
    if (IdOf(member) != parts.second) continue;
    const Surveyed* runs = FindByMember(survey, member);
    raiser = runs != nullptr ? runs->name() : NameOf(member);
  }
  findings.Refuse(
      v1::MEMBER_ALARM, raiser,
      absl::StrCat("its etcd member raises the alarm ", parts.first,
                   parts.first == "NOSPACE" ? ": its database is full, and etcd takes no writes" : ""),
      absl::StrCat("make room or repair the member, then disarm the alarm: ", kClearing));
}

// k3s does not start servers that differ in these (its documentation, "Critical configuration values").
constexpr const char* kCriticalFlags[] = {
    "cluster-cidr",
    "service-cidr",
    "cluster-dns",
    "cluster-domain",
    "flannel-backend",
    "egress-selector-mode",
    "secrets-encryption",
    "disable-network-policy",
    "disable-kube-proxy",
    "disable-cloud-controller",
    "disable-helm-controller",
};

std::string ValueOf(const v1::K3sFacts& k3s, const std::string& flag) {
  for (const v1::Setting& setting : k3s.settings()) {
    if (absl::StripPrefix(setting.key(), "--") == flag)
      return setting.value().empty() ? "true" : setting.value();
  }
  return "";
}

}  // namespace

void CheckSameCluster(const Survey& survey, Findings& findings) {
  const Surveyed* first = nullptr;
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached() || node.facts->k3s().cluster_id().empty()) continue;
    if (first == nullptr) first = &node;
    if (node.facts->k3s().cluster_id() == first->facts->k3s().cluster_id()) continue;
    findings.Refuse(
        v1::DIFFERENT_CLUSTER, node.name(),
        absl::StrCat("it belongs to another cluster than ", first->name(), ": their CA certificates differ"),
        "one cluster.yaml describes one cluster");
  }
}

void CheckNodeObjects(const Survey& survey, Findings& findings) {
  if (survey.api == nullptr) {
    findings.Refuse(v1::NO_HEALTHY_SERVER, survey.request->cluster, "no server's Kubernetes API answered",
                    "bring the API back first: an upgrade needs it to see and drain nodes");
    return;
  }
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached() || !RunsKubelet(node)) continue;
    const std::string& own = node.facts->k3s().node_name();
    if (NodeObjectOf(survey, node.name()) != nullptr) continue;
    const bool renamed = !own.empty() && own != node.name() && NodeObjectOf(survey, own) != nullptr;
    findings.Refuse(
        v1::NODE_UNKNOWN_TO_CLUSTER, node.name(),
        renamed ? absl::StrCat("the cluster knows this node as ", own) : "the cluster has no such Node",
        renamed ? absl::StrCat("call it ", own, " in cluster.yaml and agent.yaml")
                : "join it first, or take it out of cluster.yaml");
  }
  for (const v1::KubeNode& object : survey.api->nodes()) {
    if (FindByName(survey, object.name()) != nullptr) continue;
    findings.Refuse(v1::NODE_MISSING_FROM_FILE, object.name(),
                    "the cluster has this Node, cluster.yaml has not",
                    "add it to cluster.yaml, or delete the Node if the machine is gone");
  }
}

void CheckMembers(const Survey& survey, Findings& findings) {
  if (survey.datastore != v1::DATASTORE_EMBEDDED_ETCD) return;
  if (survey.etcd == nullptr) {
    findings.Refuse(v1::MEMBER_UNHEALTHY, survey.request->cluster, "no server's etcd member answered",
                    "bring etcd back first; see: k3saga nodes");
    return;
  }
  for (const v1::EtcdMember& member : survey.etcd->members()) CheckMember(survey, member, findings);
  std::set<std::string> alarms(survey.etcd->alarms().begin(), survey.etcd->alarms().end());
  for (const std::string& alarm : alarms) CheckAlarm(survey, alarm, findings);
  bool quorum_read = false;
  for (const Surveyed& node : survey.nodes) {
    if (!node.server() || !node.reached()) continue;
    quorum_read = quorum_read || node.facts->etcd().linearizable_read();
    if (node.facts->k3s().runs_etcd() && MemberOf(survey, node) == nullptr) {
      findings.Refuse(v1::NODE_WITHOUT_MEMBER, node.name(),
                      "it runs etcd, but the member list does not name it",
                      "it was removed or belongs to another cluster: let it join again first");
    }
    if (node.etcd_works() && !SameIds(node.facts->etcd(), *survey.etcd)) {
      findings.Refuse(v1::MEMBERSHIP_CHANGED, node.name(),
                      "it lists other etcd members than the other servers",
                      "wait until the membership is the same everywhere");
    }
  }
  if (!quorum_read) {
    findings.Refuse(v1::QUORUM_WOULD_BE_LOST, survey.request->cluster,
                    "no quorum read through any etcd member succeeded", "bring etcd's quorum back first");
  }
}

void CheckHeld(const Survey& survey, Findings& findings) {
  std::map<std::string, std::string> told;  // rollout: the node that said it first
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached() || !node.facts->claim().active()) continue;
    const v1::Claim& claim = node.facts->claim();
    if (!told.emplace(claim.rollout(), node.name()).second) continue;
    findings.Refuse(
        v1::CLUSTER_HELD, node.name(),
        absl::StrCat("rollout ", claim.rollout(), " holds the cluster, by ", DescribeClaim(claim)),
        absl::StrCat("there, `k3saga resume ", claim.rollout(), "` goes on with it and `k3saga abort ",
                     claim.rollout(), "` ends it; here, `k3saga adopt` takes it over"));
  }
}

void CheckConsent(const Survey& survey, Findings& findings) {
  if (!LosesByDesign(survey) || survey.request->consent_outage) return;
  findings.Refuse(v1::CONSENT_MISSING, survey.request->cluster,
                  "with one or two servers the API or etcd's quorum is away while a server restarts",
                  "agree when `upgrade` asks, or with --allow-outage; or add a third server");
}

void CheckBackup(const Survey& survey, Findings& findings) {
  const v1::BackupPolicy& policy = survey.request->policies.backup();
  if (!policy.enabled()) {
    findings.Notice(v1::BACKUP_MISSING, survey.request->cluster, "the cluster file switches the backup off");
  } else if (survey.datastore == v1::DATASTORE_EXTERNAL && policy.external_command_size() == 0) {
    findings.Refuse(v1::BACKUP_MISSING, survey.request->cluster,
                    "an external datastore needs a backup of its own kind",
                    "name the command in backup.external_command, or write backup.enabled: false");
  }
}

void CheckFlags(const Survey& survey, Findings& findings) {
  const Surveyed* first = nullptr;
  for (const Surveyed& node : survey.nodes) {
    if (!node.server() || !node.reached()) continue;
    if (first == nullptr) first = &node;
    for (const char* flag : kCriticalFlags) {
      const std::string here = ValueOf(node.facts->k3s(), flag);
      const std::string there = ValueOf(first->facts->k3s(), flag);
      if (here == there) continue;
      findings.Notice(
          v1::CRITICAL_FLAGS_DIFFER, node.name(),
          absl::StrCat("--", flag, " is \"", here, "\" here and \"", there, "\" on ", first->name()),
          "k3s may refuse to start such servers again");
    }
  }
}

void CheckObstacles(const Survey& survey, Findings& findings) {
  if (survey.api == nullptr) return;
  const v1::Policies& policies = survey.request->policies;
  for (const v1::DrainObstacle& obstacle : survey.api->obstacles()) {
    const Surveyed* node = FindByName(survey, obstacle.node());
    if (node == nullptr || AtTarget(survey, *node)) continue;
    const v1::DrainPolicy& drain = node->server() ? policies.servers().drain() : policies.workers().drain();
    if (!drain.enabled()) continue;
    const bool fatal = drain.on_timeout() == v1::DrainPolicy::FAIL;
    (fatal ? findings.refusals : findings.notices).push_back(obstacle.reason());
  }
}

}  // namespace k3saga::core
