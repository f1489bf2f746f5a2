#include "agent/service/supervision.h"

#include <absl/strings/str_cat.h>
#include <systemd/sd-daemon.h>

#include <string>

namespace k3saga::service {

void NotifyReady(std::string_view status) {
  (void)sd_notify(0, absl::StrCat("READY=1\nSTATUS=", std::string(status)).c_str());
}

void NotifyStopping() { (void)sd_notify(0, "STOPPING=1"); }

void NotifyAlive() { (void)sd_notify(0, "WATCHDOG=1"); }

std::optional<std::chrono::milliseconds> WatchdogInterval() {
  uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return std::chrono::milliseconds(microseconds / 1000);
}

}  // namespace k3saga::service
