#pragma once

#include <absl/status/status.h>

#include <string>

#include "agent/service/config.h"

namespace k3saga::service {

// The agent itself: serves until SIGTERM or SIGINT. Operations that run in this process are interrupted then
// and go on at the next start; those in processes of their own do not notice. OK after an orderly end.
absl::Status Serve(const AgentConfig& config, const std::string& program);

// The process of one node-changing operation, started by the agent in a transient unit.
absl::Status RunOperation(const AgentConfig& config, const std::string& rollout, uint64_t sequence,
                          uint32_t attempt);

// The process that puts another agent in the place of this one, started by the agent in a transient unit.
// `program`: where the agent lies.
absl::Status RunReplacement(const AgentConfig& config, const std::string& program);

}  // namespace k3saga::service
