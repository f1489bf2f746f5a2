#pragma once

#include <absl/status/status.h>

#include <string>

#include "agent/node/host_paths.h"
#include "agent/node/systemd.h"

namespace k3saga::node {

// k3s stands still on purpose: its unit is disabled, so that no boot starts it, and <state>/standstill.json
// remembers durably whether it was enabled before. Disabled and not masked: a unit below /etc/systemd/system
// is a file, which systemd does not mask for good, and a mask in /run is gone after a boot. Stopping the unit
// is the caller's.
class Standstill {
 public:
  explicit Standstill(const StatePaths& state);

  // Idempotent: what the first call found is what End brings back.
  absl::Status Begin(const std::string& unit, Systemd& systemd);
  // Enables the unit again if it was. Nothing to end is fine.
  absl::Status End(Systemd& systemd);

 private:
  const std::string file_;
};

}  // namespace k3saga::node
