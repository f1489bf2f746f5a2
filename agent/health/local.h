#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>

#include "agent/health/tracker.h"

namespace k3saga::health {

// What k3s runs on this node, as its unit says.
struct LocalRole {
  bool runs_apiserver = false;
  bool runs_etcd = false;
  bool runs_kubelet = true;
};

// k3s's unit and main process on this machine; behind it are systemd and /proc (agent/node). Asked anew each
// time: the node may be installed, or get another role, while the agent runs. Thread-safe.
class LocalK3s {
 public:
  virtual ~LocalK3s() = default;
  virtual LocalRole Role() = 0;
  // pid 0 when the unit does not run; an error when that cannot be told. Cheap: called once a second.
  virtual absl::StatusOr<MainProcess> Main() = 0;
  // UNIT_NOT_ACTIVE with what systemd says of it.
  virtual absl::Status UnitActive() = 0;
  // The version that the running process is, "" when it does not run or cannot be told.
  virtual std::string RunningVersion() = 0;
  // The line among the unit's last ones that tells most, for people; "" when there are none.
  virtual std::string LastWords() = 0;
};

}  // namespace k3saga::health
