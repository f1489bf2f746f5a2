#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/configuration.h"
#include "agent/node/installation.h"
#include "agent/node/systemd.h"
#include "common/host/secrets.h"

namespace k3saga::node {

// How install.sh has to be called so that it writes again what it once wrote. Everything secret is in the
// environment, never in argv.
struct InstallerCall {
  std::vector<std::string> argv;         // {"/bin/sh", SCRIPT}
  std::vector<std::string> environment;  // "K=V", complete
  SecretMask secrets;                    // every secret in it: to clean what the installer prints
  std::string Describe() const;          // names of what is passed, values masked: for the log
};

// Pure. CONFIGURATION_WOULD_CHANGE when no call can express this node (a wrapped ExecStart, a unit name that
// the installer would not choose); the remedy then is `installer: none`.
absl::StatusOr<InstallerCall> PlanInstaller(const K3sInstallation& installation, std::string_view script);

// A word of a unit (specifiers and variables unexpanded) as INSTALL_K3S_EXEC must carry it so that install.sh
// writes a unit in which systemd reads that word again.
std::string QuoteForInstaller(std::string_view word);

// Puts the staged binary in place of `target`, atomically and durably, mode 0755, SELinux label of what stood
// there. The running process is not touched.
absl::Status PlaceBinary(const std::string& staged, const std::string& target);

// Runs the installer under a deadline (the whole process group is killed at its end) and reloads systemd.
// INSTALLER_FAILED with its last line, masked.
absl::Status RunInstaller(const InstallerCall& call, std::chrono::milliseconds deadline, Systemd& systemd);

// Makes the environment file say again what it said: `kept_environment_file` (the one from before; may be
// missing) is put back byte for byte where that gives the process what it got. Otherwise (Environment= of the
// main file, which the installer drops) the variables that are lost are written into it. install.sh alone
// loses variables it does not know, backslashes, runs of blanks and comments. Idempotent.
absl::Status MendEnvironment(const ConfigurationMeaning& before, const std::string& kept_environment_file,
                             const K3sInstallation& after);

}  // namespace k3saga::node
