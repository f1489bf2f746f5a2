#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/leadership.h"
#include "common/host/clock.h"
#include "common/host/pause.h"
#include "k3saga/v1/facts.pb.h"
#include "k3saga/v1/operation.pb.h"
#include "k3saga/v1/policy.pb.h"

namespace k3saga::kube {

// Marks a cordon as ours; the value is the rollout's id.
inline constexpr char kCordonedBy[] = "k3saga.io/cordoned-by";

struct PodLeft {
  std::string pod;      // "shop/web-1"
  std::string held_by;  // the budget, or what else keeps it; "" when it is only on its way out
};

// What a running drain looks like: telemetry.
struct DrainState {
  uint32_t evicted = 0;
  std::vector<PodLeft> left;
};
// "2 pods left: shop/web-1 (budget web needs 3 healthy pods and has 3), shop/db-0"
std::string Describe(const DrainState& state);

// What Velero is asked for. `operation` names who asks ("ROLLOUT-SEQUENCE-ATTEMPT"): asking again finds what
// was created before.
struct VeleroBackupRequest {
  std::string name;
  std::vector<std::string> namespaces;
  std::string rollout;
  std::string operation;
};
struct VeleroRestoreRequest {
  std::string backup;
  std::string rollout;
  std::string operation;
};

// What a node has to show before it counts as back.
struct AwaitedNode {
  std::string name;
  std::string version;           // its kubelet's; "" for any
  bool version_is_news = false;  // the Node never said it before: saying it is the heartbeat
};

// The Kubernetes API as k3saga uses it, through one server. All calls are idempotent, end within their
// timeout and repeat a request on their own when the API is away for a moment (a server restarting).
// Thread-safe.
//
// Everything that is requested of the API server, with the client certificate of the kubeconfig (NS is a
// namespace):
// clang-format off
//   GET     /readyz  /version
//   GET     /api/v1  /apis/policy                                  discovery: eviction and budgets v1 or v1beta1
//   GET     /api/v1/nodes[?limit=&continue=]  /api/v1/nodes/NAME
//   PATCH   /api/v1/nodes/NAME                                     merge patch, metadata.resourceVersion inside: 409 when stale
//   GET     /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases[/NAME]
//   GET     /api/v1/pods?fieldSelector=spec.nodeName=NAME[&labelSelector=][&limit=&continue=]
//   POST    /api/v1/namespaces/NS/pods/NAME/eviction               429 with Retry-After: wait
//   DELETE  /api/v1/namespaces/NS/pods/NAME                        on_timeout FORCE
//   GET     /apis/policy/VERSION/poddisruptionbudgets
//   GET     /api/v1  /apis/GROUP/VERSION                           discovery of what a manifest names
//   POST, GET, PATCH, DELETE of that kind                          DELETE with the uid as precondition
//   GET     /apis/velero.io/v1/backupstoragelocations
//   POST    /apis/velero.io/v1/namespaces/NS/{backups,restores}    then GET until its end
//   GET     /apis/apps/v1/namespaces/kube-system/{deployments,daemonsets}  /apis/batch/v1/namespaces/kube-system/jobs
//   GET, PATCH /apis/coordination.k8s.io/v1/namespaces/kube-system/leases[/NAME]
//   GET     /api/v1/namespaces/default/endpoints/kubernetes        other API servers, before this one stops
//   GET     /metrics  then what it names as deprecated, one page   who calls what a later release removes
// clang-format on
class Kube {
 public:
  virtual ~Kube() = default;

  // OK when /readyz answers 200; otherwise API_NOT_READY with the checks that fail. One request, not
  // repeated.
  virtual absl::Status Ready(std::chrono::milliseconds timeout) = 0;

  // The API server's own version: "v1.31.4+k3s1".
  virtual absl::StatusOr<std::string> ServerVersion(std::chrono::milliseconds timeout) = 0;

  // All nodes by name. Heartbeat ages are measured on the API server's clock.
  virtual absl::StatusOr<std::vector<v1::KubeNode>> Nodes(const Patience& patience) = 0;

  // Cordons and marks it as `rollout`'s. A cordon that was there and is not marked as ours is left alone and
  // said.
  virtual absl::StatusOr<v1::CordonResult> Cordon(std::string_view node, std::string_view rollout,
                                                  const Patience& patience) = 0;

  // Takes back `rollout`'s cordon; does nothing to anybody else's, or when the node is gone.
  virtual absl::Status Uncordon(std::string_view node, std::string_view rollout,
                                const Patience& patience) = 0;

  // Until the node is Ready, its kubelet runs the version and it sent a heartbeat after the call began (seen
  // as a change, so that nobody's clock matters). NODE_NOT_READY or WRONG_VERSION_RUNNING when the time is
  // over. `said` (may be empty) hears what is still missing.
  virtual absl::Status AwaitNode(const AwaitedNode& awaited,
                                 const std::function<void(const std::string&)>& said,
                                 const Patience& patience) = 0;

  // `kubectl drain` by eviction, without the cordon. policy.timeout_seconds (0: 300) bounds the evictions,
  // after which policy.on_timeout decides; patience.timeout bounds all of it, so leave FORCE some time
  // beyond. POD_IN_THE_WAY before anything was evicted; DRAIN_BLOCKED names the pods and budgets. `observe`
  // (may be empty) is called when the picture changes.
  virtual absl::StatusOr<v1::DrainResult> Drain(std::string_view node, const v1::DrainPolicy& policy,
                                                const std::function<void(const DrainState&)>& observe,
                                                const Patience& patience) = 0;

  // What drains under this policy would meet: budgets that can never allow an eviction, unmanaged and
  // emptyDir pods.
  virtual absl::StatusOr<std::vector<v1::DrainObstacle>> DrainObstacles(const v1::DrainPolicy& policy,
                                                                        const Patience& patience) = 0;

  // Creates the object (JSON, one) and marks it as `rollout`'s. Somebody else's object of the same name is
  // left alone: REMEDY_FAILED. One that an earlier rollout of ours left becomes this one's.
  virtual absl::Status ApplyManifest(const std::string& manifest, std::string_view rollout,
                                     const Patience& patience) = 0;
  // Removes `rollout`'s object; missing, or somebody else's, is done.
  virtual absl::Status RemoveManifest(const std::string& manifest, std::string_view rollout,
                                      const Patience& patience) = 0;

  // A velero.io/v1 Backup, watched to its end; returns its name (another one than asked for where that was
  // taken). VELERO_FAILED: there is no Velero, the backup failed, also in part, or did not end in time.
  virtual absl::StatusOr<std::string> VeleroBackup(const VeleroBackupRequest& request,
                                                   const std::function<void(const std::string&)>& said,
                                                   const Patience& patience) = 0;
  // Likewise a velero.io/v1 Restore.
  virtual absl::Status VeleroRestore(const VeleroRestoreRequest& request,
                                     const std::function<void(const std::string&)>& said,
                                     const Patience& patience) = 0;

  // Deployments and DaemonSets that k3s ships, and its helm jobs.
  virtual absl::StatusOr<std::vector<v1::PackagedComponent>> PackagedComponents(const Patience& patience) = 0;

  // APIs that somebody called on this server since it started and that a later release removes, with the
  // first objects that were written through them.
  virtual absl::StatusOr<std::vector<v1::DeprecatedApi>> DeprecatedApis(const Patience& patience) = 0;

  // Which control loops the k3s process of `host` leads, and giving that back once the process has ended
  // (leadership.h): through other servers, with this one's identity.
  virtual absl::StatusOr<Leadership> LeadershipOf(std::string_view host, const Patience& patience) = 0;
  virtual absl::Status GiveBackLeadership(const Leadership& leadership, const Patience& patience) = 0;

  // Closes idle connections; the next call opens them again.
  virtual void Rest() = 0;
};

// The kubeconfig to use right now; asked before each call, so that a node installed later is found.
using KubeconfigPath = std::function<std::string()>;

// Reads the kubeconfig again whenever its file changed. `clock` and `pauser` must outlive it.
std::unique_ptr<Kube> MakeKube(KubeconfigPath kubeconfig, const Clock& clock, Pauser& pauser);

}  // namespace k3saga::kube
