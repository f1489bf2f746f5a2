#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace k3saga::config {

inline constexpr int kDefaultAgentPort = 7440;

// An agent's address as people write it ("10.0.0.11", "10.0.0.11:7440", "fd00::11", "[fd00::11]:7440",
// "s1.example:7440") as the target that gRPC takes: "ipv4:10.0.0.11:7440", "ipv6:[fd00::11]:7440",
// "dns:///s1.example:7440".
absl::StatusOr<std::string> AgentTarget(std::string_view text);

}  // namespace k3saga::config
