#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace k3saga::cli {

// The version that `to` means: a version is checked and returned; a channel ("stable", "latest", "v1.32") is
// asked of the channel server, which answers with a redirect whose last path element is the version.
absl::StatusOr<std::string> ResolveTarget(const std::string& to, const std::string& channel_server);

}  // namespace k3saga::cli
