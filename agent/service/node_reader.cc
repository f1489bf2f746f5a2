#include "agent/service/node_reader.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/etcd/view.h"
#include "common/host/files.h"
#include "common/protocol.h"
#include "common/reason.h"
#include "common/version.h"

namespace k3saga::service {
namespace {

using std::chrono::milliseconds;

// One answer of this node, whatever state it is in, comes within about the sum of these.
constexpr milliseconds kForEtcd{4'000};
constexpr milliseconds kForApi{5'000};
constexpr milliseconds kForObstacles{10'000};
constexpr milliseconds kForProof{4'000};

std::string Newest(const std::vector<std::string>& versions) {
  std::optional<Version> newest;
  for (const std::string& text : versions) {
    const auto version = Version::Parse(text);
    if (version.ok() && (!newest || *version > *newest)) newest = *version;
  }
  return newest ? newest->ToString() : "";
}

}  // namespace

v1::NodeFacts NodeReader::Facts(const v1::GetFactsRequest& request) {
  v1::NodeFacts facts;
  facts.set_name(parts_.config.node);
  facts.set_agent_version(K3SAGA_VERSION);
  facts.set_protocol(kProtocol);
  node::ReadMachine(parts_.config.host, &facts);
  const node::Installation installation = parts_.ReadK3s();
  ReadK3s(installation, &facts);
  ReadCluster(installation, request, &facts);
  ReadJournal(request.for_adoption(), &facts);
  return facts;
}

void NodeReader::ReadK3s(const node::Installation& installation, v1::NodeFacts* facts) {
  v1::K3sFacts& k3s = *facts->mutable_k3s();
  k3s = node::ToFacts(installation);
  k3s.set_staged_version(Newest(parts_.releases.Versions()));
  const auto beside_binary = FreeBytes(installation.binary.empty() ? "/" : DirName(installation.binary));
  const auto in_state = FreeBytes(parts_.config.state.state);
  if (beside_binary.ok() && in_state.ok()) k3s.set_free_bytes(std::min(*beside_binary, *in_state));
  for (const v1::Reason& problem : installation.problems) *facts->add_problems() = problem;
  for (const std::string& rollout : parts_.kept.Rollouts()) {
    const auto manifest = parts_.kept.Peek(rollout);
    if (!manifest.ok()) continue;
    v1::KeptFiles* kept = facts->add_kept();
    kept->set_rollout(rollout);
    kept->set_version(manifest->version);
  }
  for (v1::StoredBackup& backup : parts_.backups.List()) *facts->add_backups() = std::move(backup);
}

void NodeReader::ReadCluster(const node::Installation& installation, const v1::GetFactsRequest& request,
                             v1::NodeFacts* facts) {
  if (installation.runs_etcd) *facts->mutable_etcd() = etcd::ToFacts(parts_.etcd->View(kForEtcd));
  if (!installation.runs_apiserver) return;
  const auto problem = [&](const absl::Status& status) {
    *facts->add_problems() = ReasonOf(status, parts_.config.node);
  };
  const auto nodes = parts_.kube->Nodes({kForApi, {}});
  if (!nodes.ok()) {
    problem(nodes.status());
    return;
  }
  for (const v1::KubeNode& node : *nodes) *facts->add_nodes() = node;
  if (!request.drain_obstacles()) return;
  const auto obstacles = parts_.kube->DrainObstacles(request.drain_policy(), {kForObstacles, {}});
  if (!obstacles.ok()) {
    problem(obstacles.status());
    return;
  }
  for (const v1::DrainObstacle& obstacle : *obstacles) *facts->add_obstacles() = obstacle;
  ReadHazards(facts);
}

// What an upgrade may break; without an answer there is nothing to warn of.
void NodeReader::ReadHazards(v1::NodeFacts* facts) {
  const auto components = parts_.kube->PackagedComponents({kForApi, {}});
  if (components.ok()) facts->mutable_components()->Assign(components->begin(), components->end());
  const auto deprecated = parts_.kube->DeprecatedApis({kForApi, {}});
  if (deprecated.ok()) facts->mutable_deprecated_apis()->Assign(deprecated->begin(), deprecated->end());
}

void NodeReader::ReadJournal(bool for_adoption, v1::NodeFacts* facts) {
  facts->set_journal_id(journal_.id());
  const auto fence = journal_.ReadFence();
  if (fence.ok()) {
    if (fence->claim.epoch() > 0) *facts->mutable_claim() = fence->claim;
  } else {
    *facts->add_problems() = ReasonOf(fence.status(), parts_.config.node);
  }
  if (!for_adoption) return;
  const auto adoption = journal_.ReadAdoption();
  if (adoption.ok()) facts->set_adoption(*adoption);
}

v1::ServerProof NodeReader::Prove(const v1::ProbeRequest& request) {
  v1::ServerProof proof = monitor_.Prove(request.with_nodes(), kForProof);
  proof.set_node(parts_.config.node);
  proof.set_reachable(true);
  return proof;
}

}  // namespace k3saga::service
