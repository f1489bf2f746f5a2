#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace k3saga::control {

// Where the rollout's socket goes: <runtime_folder>/k3saga/ROLLOUT.sock ($XDG_RUNTIME_DIR; "": none), else
// <state_folder>/run/ROLLOUT.sock, and where that is too long for a socket's address, a hashed name in a
// folder of the user's own under /tmp. Creates the folder (0700) and refuses one that others could reach
// into. The path is announced through the journal's lock file; clients read it there.
absl::StatusOr<std::string> PrepareSocketPath(std::string_view runtime_folder, std::string_view state_folder,
                                              std::string_view rollout);

// What gRPC calls that path, on both ends.
std::string SocketTarget(std::string_view path);

}  // namespace k3saga::control
