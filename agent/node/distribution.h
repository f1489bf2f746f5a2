#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/configuration.h"
#include "agent/node/host_paths.h"
#include "agent/node/installation.h"
#include "agent/node/installer.h"
#include "agent/node/process_check.h"
#include "agent/node/systemd.h"
#include "common/release/files.h"

namespace k3saga::node {

// The place where a distribution of Kubernetes plugs in: what an agent has to know of it to read and to
// change this machine. The phases of an operation (keep, place, run the installer, compare, restart, verify,
// put back) are the same for every distribution that is one binary which one systemd unit runs, as a server
// or as an agent; see docs/adr/0006. An agent serves one. Without state, thread-safe.
class Distribution {
 public:
  virtual ~Distribution() = default;

  // "k3s": Installation::distribution where it is found; what the coordinator asks for.
  virtual std::string_view name() const = 0;

  // Never an error for a node in a bad state: `problems` says what is wrong with it. Where another
  // distribution is found instead (strangers.h) `distribution` is that one's name, DISTRIBUTION_UNSUPPORTED
  // says so, and nothing else is read.
  virtual Installation Read(const HostPaths& paths, Systemd& systemd, ProcessInspector& processes) const = 0;

  // Where it keeps its data when it was not told otherwise.
  virtual std::string DataDirectory(const HostPaths& paths) const = 0;

  virtual release::Files FilesOfRelease(std::string_view architecture) const = 0;

  // All that its installer or the placing of a release may write or remove here: kept before, put back by a
  // way back. Of these, those that are not there are removed by it.
  virtual std::vector<std::string> FilesAtStake(const Installation& installation) const = 0;

  // Its own archives of images that lie here now, as paths; other people's are not its.
  virtual std::vector<std::string> ImageArchives(const std::string& data_dir) const = 0;

  // Puts a staged archive of images where it is loaded from, instead of the older ones. Durable, idempotent.
  virtual absl::Status PlaceImages(const std::string& staged, const Installation& installation) const = 0;

  // Does beside a running node what the first start of a staged binary would do while the node is away. For
  // speed alone: an error says that this binary cannot start here, and anything else is left to its start.
  // Nothing that runs is touched; idempotent, and nothing where a distribution does not pack itself.
  virtual absl::Status Unpack(const std::string& /*staged*/, const Installation& /*installation*/,
                              std::chrono::milliseconds /*deadline*/) const {
    return absl::OkStatus();
  }

  // How the installer has to be called so that it writes again what it once wrote and starts nothing. Pure
  // but for looking at what exists. CONFIGURATION_WOULD_CHANGE when no call can express this node.
  virtual absl::StatusOr<InstallerCall> PlanInstaller(const Installation& installation,
                                                      std::string_view script) const = 0;

  // Makes good what an installer is known to lose of the environment; `kept_environment_file` is the one from
  // before and may be missing. Idempotent.
  virtual absl::Status MendEnvironment(const ConfigurationMeaning& before,
                                       const std::string& kept_environment_file,
                                       const Installation& after) const = 0;

  // What an installer changed that is the user's to decide, one line each, secrets masked; its own progress
  // from version to version is no difference.
  virtual std::vector<std::string> Compare(const ConfigurationMeaning& before,
                                           const ConfigurationMeaning& after) const = 0;
};

}  // namespace k3saga::node
