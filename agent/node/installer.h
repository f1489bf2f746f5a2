#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/systemd.h"
#include "common/host/secrets.h"

namespace k3saga::node {

// How an installer is called. Everything secret is in the environment, never in argv.
struct InstallerCall {
  std::vector<std::string> argv;         // {"/bin/sh", SCRIPT}
  std::vector<std::string> environment;  // "K=V", complete
  std::string flags_variable;            // the one of them that holds the flags, which may hold a token
  SecretMask secrets;                    // every secret in it: to clean what the installer prints
  std::string Describe() const;          // names of what is passed, values masked: for the log
};

// Puts the staged binary in place of `target`, atomically and durably, mode 0755, SELinux label of what stood
// there. The running process is not touched.
absl::Status PlaceBinary(const std::string& staged, const std::string& target);

// Runs the installer under a deadline (the whole process group is killed at its end) and reloads systemd.
// INSTALLER_FAILED with its last line, masked.
absl::Status RunInstaller(const InstallerCall& call, std::chrono::milliseconds deadline, Systemd& systemd);

}  // namespace k3saga::node
