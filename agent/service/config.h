#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "agent/node/host_paths.h"
#include "common/tls/identity.h"

namespace k3saga::service {

// agent.yaml. Every path is as the file has it; defaults are those of a packaged agent on a real node.
struct AgentConfig {
  std::string file;
  std::string node;
  std::string listen = "0.0.0.0:7440";
  std::string metrics = "0.0.0.0:9440";  // "": none
  tls::IdentityFiles identity;
  node::StatePaths state;
  node::HostPaths host;
  std::string etcd = "127.0.0.1:2379";
  std::string kubelet_health = "http://127.0.0.1:10248/healthz";

  std::string JournalFile() const;
  std::string OperationLockFile() const;
};

// kInvalidArgument with one "FILE:LINE:COLUMN: what is wrong, what was expected" a line.
absl::StatusOr<AgentConfig> ParseAgentConfig(const std::string& text, const std::string& file);
absl::StatusOr<AgentConfig> LoadAgentConfig(const std::string& file);

}  // namespace k3saga::service
