#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace k3saga::service {

// What systemd is told (sd_notify). Nothing happens when systemd did not start this process.
void NotifyReady(std::string_view status);
void NotifyStopping();
void NotifyAlive();

// How often systemd wants to hear NotifyAlive at the latest; nullopt: it does not.
std::optional<std::chrono::milliseconds> WatchdogInterval();

}  // namespace k3saga::service
