#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/host_paths.h"

namespace k3saga::node {

// What `systemctl show` says about one unit.
struct UnitStatus {
  std::string load_state;    // "loaded", "not-found", "masked", "bad-setting"
  std::string active_state;  // "active", "activating", "failed", "inactive", "deactivating"
  std::string sub_state;     // "running", "auto-restart", "dead"
  std::string result;        // "success", "exit-code", ...
  uint32_t main_pid = 0;     // 0: none
  uint32_t restarts = 0;     // since the last start by hand
  int exec_main_status = 0;
  uint64_t exec_main_start_monotonic_us = 0;
  std::string fragment_path;
  std::vector<std::string> drop_in_paths;

  bool exists() const { return load_state == "loaded"; }
  bool active() const { return active_state == "active"; }
  std::string Describe() const { return active_state + "/" + sub_state; }
};

struct TransientUnit {
  std::string name;                     // without ".service"
  std::vector<std::string> properties;  // "KEY=VALUE"
  std::vector<std::string> argv;
};

// systemd as the agent uses it, through its own tools by argument vector. Every call has a deadline (10 s; a
// reload and a transient unit 60 s): nothing here waits for a job. Errors name the tool and carry its last
// line. Thread-safe.
class Systemd {
 public:
  virtual ~Systemd() = default;

  // A unit nobody knows is not an error: load_state says "not-found".
  virtual absl::StatusOr<UnitStatus> Show(std::string_view unit) = 0;

  // Queue a job and return (--no-block): Type=notify with no timeout can block for ever.
  virtual absl::Status Restart(std::string_view unit) = 0;
  virtual absl::Status Start(std::string_view unit) = 0;
  virtual absl::Status Stop(std::string_view unit) = 0;

  virtual absl::Status DaemonReload() = 0;
  virtual absl::Status Enable(std::string_view unit) = 0;
  virtual absl::Status Disable(std::string_view unit) = 0;
  // "enabled", "disabled", "static", "masked", ...; "not-found" for a unit that is not there.
  virtual absl::StatusOr<std::string> IsEnabled(std::string_view unit) = 0;
  virtual absl::Status ResetFailed(std::string_view unit) = 0;
  virtual absl::Status Reboot() = 0;

  // A service that outlives the caller: ok once its process was executed. kAlreadyExists when it runs
  // already.
  virtual absl::Status RunTransient(const TransientUnit& unit) = 0;

  // The unit's last log lines.
  virtual absl::StatusOr<std::string> Journal(std::string_view unit, int lines) = 0;
};

std::unique_ptr<Systemd> MakeSystemd(const HostPaths& paths);

}  // namespace k3saga::node
