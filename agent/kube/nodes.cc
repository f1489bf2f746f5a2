#include "agent/kube/nodes.h"

#include <absl/strings/str_cat.h>

#include <map>
#include <optional>

#include "agent/kube/kube.h"
#include "agent/kube/look_pause.h"
#include "agent/kube/objects.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::kube {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{500};
constexpr milliseconds kOneLook{5000};
constexpr char kLeases[] = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

std::string PathOf(std::string_view node) { return absl::StrCat("/api/v1/nodes/", Escape(node)); }

bool Unschedulable(const Json& node) { return TrueAt(node, {"spec", "unschedulable"}); }
std::string CordonedBy(const Json& node) { return TextAt(node, {"metadata", "annotations", kCordonedBy}); }

Json PatchOf(const Json& node, Json unschedulable, Json annotation) {
  Json patch;
  patch["metadata"]["resourceVersion"] = TextAt(node, {"metadata", "resourceVersion"});
  patch["metadata"]["annotations"][kCordonedBy] = std::move(annotation);
  patch["spec"]["unschedulable"] = std::move(unschedulable);
  return patch;
}

// What is still missing for a node to count as back.
std::optional<v1::Reason> StillMissing(const v1::KubeNode& node, std::string_view version,
                                       bool heartbeat_seen) {
  if (!version.empty() && node.kubelet_version() != version) {
    return MakeReason(
        v1::WRONG_VERSION_RUNNING, node.name(),
        absl::StrCat("its kubelet says ", node.kubelet_version().empty() ? "nothing" : node.kubelet_version(),
                     ", expected ", std::string(version)));
  }
  if (!node.ready()) {
    return MakeReason(v1::NODE_NOT_READY, node.name(), "its Ready condition is not True");
  }
  if (!heartbeat_seen) {
    return MakeReason(
        v1::NODE_NOT_READY, node.name(),
        absl::StrCat("no new heartbeat; the last one is ", node.heartbeat_age_ms() / 1000, " s old"));
  }
  return std::nullopt;
}

}  // namespace

CordonChange ChangeToCordon(const Json& node, std::string_view rollout) {
  CordonChange change;
  if (!Unschedulable(node)) {
    change.patch = PatchOf(node, true, std::string(rollout));
  } else {
    change.somebody_elses = CordonedBy(node) != rollout;
  }
  return change;
}

CordonChange ChangeToUncordon(const Json& node, std::string_view rollout) {
  CordonChange change;
  if (CordonedBy(node) == rollout) {
    change.patch = PatchOf(node, nullptr, nullptr);
  } else {
    change.somebody_elses = Unschedulable(node);
  }
  return change;
}

absl::StatusOr<std::vector<v1::KubeNode>> Nodes::All(const Patience& patience) {
  int64_t date = 0;
  K3SAGA_ASSIGN_OR_RETURN(const Json::array_t nodes, api_.List("/api/v1/nodes", patience, &date));
  const auto leases = api_.List(kLeases, patience);
  if (!leases.ok() && !absl::IsNotFound(leases.status())) {
    return leases.status();
  }
  std::map<std::string, std::string> renewed;
  if (leases.ok()) {
    for (const Json& lease : *leases) {
      renewed[TextAt(lease, {"metadata", "name"})] = TextAt(lease, {"spec", "renewTime"});
    }
  }
  std::vector<v1::KubeNode> result;
  result.reserve(nodes.size());
  for (const Json& node : nodes) {
    result.push_back(NodeOf(node, renewed[TextAt(node, {"metadata", "name"})],
                            date != 0 ? date : clock_.WallUnixMillis()));
  }
  return result;
}

absl::StatusOr<CordonChange> Nodes::Change(std::string_view node, std::string_view rollout,
                                           CordonChange (*decide)(const Json&, std::string_view),
                                           const Patience& patience) {
  const milliseconds end = clock_.Steady() + patience.timeout;
  while (true) {
    const Patience left{.timeout = end - clock_.Steady(), .stop = patience.stop};
    K3SAGA_ASSIGN_OR_RETURN(const Answer found, api_.Get(PathOf(node), left));
    CordonChange change = decide(found.json, rollout);
    if (change.patch.is_null()) {
      return change;
    }
    Api::Request request{.method = "PATCH",
                         .path = PathOf(node),
                         .content_type = "application/merge-patch+json",
                         .body = change.patch};
    K3SAGA_ASSIGN_OR_RETURN(const Answer answer, api_.Send(request, left));
    if (answer.ok()) {
      return change;
    }
    if (answer.status != 409 || clock_.Steady() >= end) {
      return ErrorOf(answer, "PATCH " + request.path);
    }
    pauser_.Pause(milliseconds(50), patience.stop);  // a kubelet wrote its status; bounded by `end`
  }
}

absl::StatusOr<v1::CordonResult> Nodes::Cordon(std::string_view node, std::string_view rollout,
                                               const Patience& patience) {
  K3SAGA_ASSIGN_OR_RETURN(const CordonChange change, Change(node, rollout, &ChangeToCordon, patience));
  v1::CordonResult result;
  result.set_cordoned_before(change.somebody_elses);
  return result;
}

absl::Status Nodes::Uncordon(std::string_view node, std::string_view rollout, const Patience& patience) {
  const auto change = Change(node, rollout, &ChangeToUncordon, patience);
  return absl::IsNotFound(change.status()) ? absl::OkStatus() : change.status();
}

absl::Status Nodes::Await(const AwaitedNode& awaited, const std::function<void(const std::string&)>& said,
                          const Patience& patience) {
  const milliseconds end = clock_.Steady() + patience.timeout;
  LookPause pause(kFirstPause, kLongestPause);
  std::optional<std::string> first_heartbeat;
  std::string last_said;
  v1::Reason missing = MakeReason(v1::NODE_NOT_READY, awaited.name, "the API gave no answer");
  while (true) {
    const Patience look{.timeout = std::min(kOneLook, std::max(end - clock_.Steady(), milliseconds(1))),
                        .stop = patience.stop};
    const auto found = api_.Get(PathOf(awaited.name), look);
    const auto lease = api_.Get(absl::StrCat(kLeases, "/", Escape(awaited.name)), look);
    if (found.ok() && (lease.ok() || absl::IsNotFound(lease.status()))) {
      const std::string renewed = lease.ok() ? TextAt(lease->json, {"spec", "renewTime"}) : "";
      const std::string heartbeat = HeartbeatOf(found->json, renewed);
      if (!first_heartbeat) {
        first_heartbeat = heartbeat;
      }
      // Its kubelet writes version and Ready condition together.
      const bool heartbeat_seen = awaited.version_is_news || heartbeat != *first_heartbeat;
      const auto still =
          StillMissing(NodeOf(found->json, renewed, found->date_unix_ms), awaited.version, heartbeat_seen);
      if (!still) {
        return absl::OkStatus();
      }
      missing = *still;
    } else {
      const absl::Status& error = found.ok() ? lease.status() : found.status();
      if (absl::IsPermissionDenied(error) || absl::IsCancelled(error)) {
        return error;
      }
      missing = MakeReason(v1::NODE_NOT_READY, awaited.name, std::string(error.message()));
    }
    if (said && missing.detail() != last_said) {
      last_said = missing.detail();
      said(last_said);
    }
    const milliseconds next = pause.Next();
    if (clock_.Steady() + next >= end) {
      return ReasonError(missing, absl::StatusCode::kDeadlineExceeded);
    }
    if (!pauser_.Pause(next, patience.stop)) {
      return absl::CancelledError(absl::StrCat("waiting for node ", awaited.name, " was cancelled"));
    }
  }
}

}  // namespace k3saga::kube
