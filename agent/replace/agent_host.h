#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "agent/node/host_paths.h"
#include "agent/node/systemd.h"
#include "agent/replace/judge.h"

namespace k3saga::replace {

inline constexpr char kAgentUnit[] = "k3saga-agent.service";

// What the agent's service is doing.
struct ServiceState {
  bool active = false;  // Type=notify: it said that it serves
  uint32_t main_pid = 0;
  bool runs_installed = false;  // the main process is the program as it lies on the disk
  std::string words;            // "active/running"
};

// The machine, as replacing the agent needs it. Errors name the tool and its last line.
class AgentHost {
 public:
  virtual ~AgentHost() = default;

  // Where the program lies: what is copied before, and put back.
  virtual const std::string& program() const = 0;
  // kInvalidArgument for a file that is neither a Debian package nor a program of this machine.
  virtual absl::StatusOr<Offered> Inspect(const std::string& file) = 0;
  // `service_pid`: of the agent that asks.
  virtual absl::StatusOr<Installed> LookAtInstalled(uint32_t service_pid) = 0;
  // As CompareVersions; for packages by dpkg's rules.
  virtual absl::StatusOr<int> Compare(Form form, const std::string& one, const std::string& other) = 0;

  // A package by apt, so that nothing happens unless what it needs is there, and changed configuration stays;
  // a program by one rename. May restart the service.
  virtual absl::Status Install(const std::string& file, bool allow_downgrade) = 0;
  virtual absl::Status Restart() = 0;  // does not wait
  virtual absl::StatusOr<ServiceState> Look() = 0;
  virtual std::string LastWords() = 0;  // of the service's log; "" when there are none
};

// `systemd` must outlive it.
std::unique_ptr<AgentHost> MakeAgentHost(node::HostPaths paths, node::Systemd* systemd, std::string program);

}  // namespace k3saga::replace
