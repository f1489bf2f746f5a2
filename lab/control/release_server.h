#pragma once

#include <absl/status/status.h>

#include "lab/base/layout.h"

namespace k3saga::lab {

constexpr int kReleaseServerPort = 8080;
std::string ReleaseServerAddress(const Lab& lab);

// Serves DIR/releases in GitHub's layout: http://127.X.Y.250:8080/releases/download/VERSION/FILE, and the
// installer at /install.sh. DIR/release-server.json makes downloads of binaries fail: {"fault":
// "slow"|"cut"|"corrupt"|"error"}. Runs until it is killed.
absl::Status RunReleaseServer(const Lab& lab);

}  // namespace k3saga::lab
