#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "agent/health/tracker.h"

namespace k3saga::health {

// What k3s runs on this node, as its unit says. Worked out anew for each use: the node may be installed, or
// get another role, while the agent runs.
struct LocalRole {
  bool runs_apiserver = false;
  bool runs_etcd = false;
  bool runs_kubelet = true;
};

// k3s's unit and main process on this machine; behind it are systemd and /proc (agent/node). Thread-safe.
class LocalK3s {
 public:
  virtual ~LocalK3s() = default;
  virtual LocalRole Role() = 0;
  // pid 0 when the unit does not run; an error when that cannot be told.
  virtual absl::StatusOr<MainProcess> Main() = 0;
  // The version that the running process is, "" when it does not run or cannot be told.
  virtual std::string RunningVersion() = 0;
  // The unit's last log lines, for people; "" when there are none.
  virtual std::string LastWords() = 0;
};

}  // namespace k3saga::health
