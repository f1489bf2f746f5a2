#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/process.h"

namespace k3saga::hosts {

// For main: nullopt where hosts can be booted. Otherwise says why they cannot, and returns what to exit with:
// 77, which ctest counts as skipped, or 1 where K3SAGA_REQUIRE_HOSTS is set.
std::optional<int> ExitWhereImpossible();

struct HostsOptions {
  std::vector<std::string> names;
  std::vector<std::string> debian_packages = {};  // in every host's root, besides what a host needs
  struct Bind {
    std::string source;
    std::string target;
  };
  std::vector<Bind> read_only = {};  // folders of this machine that hosts see
};

// Booted Debian hosts with real systemd (tests/systemd/hosts does the work), ended with this object. Every
// call has a deadline. Thread-safe for different hosts.
class Hosts {
 public:
  // Sweeps what earlier runs that were killed left behind, then boots all hosts at the same time.
  static absl::StatusOr<std::unique_ptr<Hosts>> Boot(const HostsOptions& options);
  ~Hosts();
  Hosts(const Hosts&) = delete;
  Hosts& operator=(const Hosts&) = delete;

  const std::vector<std::string>& names() const { return names_; }
  const std::string& Address(std::string_view name) const;
  // The network that joins the hosts, as a path for setns(2).
  const std::string& network_namespace() const { return network_namespace_; }
  const std::string& folder() const { return folder_; }

  // Runs to the end in a host, as root, in all of its namespaces. A non-zero exit is a result.
  absl::StatusOr<ProcessResult> Run(std::string_view name, std::vector<std::string> argv,
                                    std::chrono::milliseconds deadline = std::chrono::minutes(5),
                                    std::string stdin_data = "") const;
  // A non-zero exit is an error that says what the program said.
  absl::StatusOr<std::string> Output(std::string_view name, std::vector<std::string> argv,
                                     std::chrono::milliseconds deadline = std::chrono::minutes(5)) const;
  absl::StatusOr<std::string> ReadFile(std::string_view name, const std::string& path) const;
  absl::Status WriteFile(std::string_view name, const std::string& path, std::string content,
                         int mode = 0644) const;

  // For a process that outlives the call: the argument vector that runs `argv` in a host.
  std::vector<std::string> CommandIn(std::string_view name, const std::vector<std::string>& argv) const;

  absl::Status Unplug(std::string_view name);  // a power cut
  absl::Status PowerOn(std::string_view name);
  absl::Status CutNetwork(std::string_view name);
  absl::Status MendNetwork(std::string_view name);

 private:
  Hosts() = default;

  std::string folder_;
  std::string network_namespace_;
  std::vector<std::string> names_;
  std::vector<std::string> addresses_;
};

}  // namespace k3saga::hosts
