#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/etcd/etcd.h"
#include "agent/health/local.h"
#include "agent/kube/http.h"
#include "agent/kube/kube.h"
#include "common/host/clock.h"
#include "common/host/pause.h"

namespace k3saga::health {

// One local health check and what it said: OK, or an error with its typed reason.
struct CheckResult {
  std::string check;  // "process", "etcd", "apiserver", "kubelet"
  absl::Status status;
};

// Pure: does the own etcd member serve? MEMBER_UNHEALTHY when it does not; NO_LEADER when it is sound but too
// few of the other members answer: that is not this node's doing, and putting an install back would not help.
absl::Status JudgeOwnMember(const etcd::ClusterView& view);

// The health of this node's k3s, by local means only: unit and main process; where etcd runs its own member
// (a quorum read); where the API server runs /readyz with credentials; on workers the kubelet's healthz.
// Thread-safe.
class HealthChecks {
 public:
  struct Parts {
    LocalK3s* local = nullptr;
    etcd::Etcd* etcd = nullptr;
    kube::Kube* kube = nullptr;
    std::string kubelet_health_url;  // "http://127.0.0.1:10248/healthz"
    const Clock* clock = nullptr;
    Pauser* pauser = nullptr;
  };
  explicit HealthChecks(Parts parts) : parts_(std::move(parts)), http_({}) {}

  // All checks that apply, what others depend on first; each within `timeout`.
  std::vector<CheckResult> Look(std::chrono::milliseconds timeout);

  // The one for watching: the API's readiness where there is an API, else the etcd member, else the kubelet.
  absl::Status Ready(std::chrono::milliseconds timeout);

  // Until the running process is `version` ("" for any) and every check is OK: for an install's VERIFY. At
  // the end of the patience the first thing that is still wrong, with the unit's last words
  // (kDeadlineExceeded); kCancelled when stopped. `said` (may be empty) hears what is waited for, when that
  // changes.
  absl::Status Await(std::string_view version, const std::function<void(const std::string&)>& said,
                     const Patience& patience);

  // Closes idle connections.
  void Rest();

 private:
  absl::Status Process();
  absl::Status Version(std::string_view expected);
  absl::Status Kubelet(std::chrono::milliseconds timeout);
  absl::Status FirstProblem(std::string_view version);

  const Parts parts_;
  kube::HttpClient http_;
};

}  // namespace k3saga::health
