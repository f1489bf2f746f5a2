#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "agent/node/configuration.h"
#include "agent/node/installation.h"
#include "agent/node/installer.h"

namespace k3saga::node {

// install.sh of k3s: what it has to be told, and what it loses.

// Pure. CONFIGURATION_WOULD_CHANGE when no call can express this node (a wrapped ExecStart, a unit name that
// the installer would not choose); the remedy then is `installer: none`.
absl::StatusOr<InstallerCall> PlanInstaller(const Installation& installation, std::string_view script);

// A word of a unit (specifiers and variables unexpanded) as INSTALL_K3S_EXEC must carry it so that install.sh
// writes a unit in which systemd reads that word again.
std::string QuoteForInstaller(std::string_view word);

// Makes the environment file say again what it said: `kept_environment_file` (the one from before; may be
// missing) is put back byte for byte where that gives the process what it got. Otherwise (Environment= of the
// main file, which the installer drops) the variables that are lost are written into it. install.sh alone
// loses variables it does not know, backslashes, runs of blanks and comments. Idempotent.
absl::Status MendEnvironment(const ConfigurationMeaning& before, const std::string& kept_environment_file,
                             const Installation& after);

}  // namespace k3saga::node
