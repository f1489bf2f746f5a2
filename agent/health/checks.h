#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/etcd/etcd.h"
#include "agent/health/local.h"
#include "agent/kube/kube.h"
#include "common/host/clock.h"
#include "common/host/pause.h"

namespace k3saga::health {

// One local health check and what it said. OK, or an error with its typed reason.
struct CheckResult {
  std::string check;  // "process", "apiserver", "etcd", "kubelet"
  absl::Status status;
};

// The health of this node's k3s, by local means only: main process; on servers /readyz with credentials;
// where etcd runs its own member (a quorum read); on workers the kubelet's healthz. Another node's trouble
// shows only where it makes this one unable to serve. Thread-safe.
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
  explicit HealthChecks(Parts parts) : parts_(std::move(parts)) {}

  // All checks that apply, each within `timeout`.
  std::vector<CheckResult> Look(std::chrono::milliseconds timeout);

  // The cheap one for watching: API's readiness where there is an API, else etcd member, else kubelet.
  absl::Status Ready(std::chrono::milliseconds timeout);

  // Until every check is OK and the running version is `version` ("" for any), for an install's VERIFY. The
  // error at the end of the patience is the first check that still fails, with the unit's last words. `said`
  // (may be empty) hears changes.
  absl::Status Await(std::string_view version, const std::function<void(const std::string&)>& said,
                     const Patience& patience);

 private:
  absl::Status Process();
  absl::Status Kubelet(std::chrono::milliseconds timeout);
  absl::Status OwnMember(std::chrono::milliseconds timeout);

  const Parts parts_;
};

}  // namespace k3saga::health
