#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace k3saga::control {

// Where the rollout's socket goes: $XDG_RUNTIME_DIR/k3saga, else `state_folder`/run, else (the name would not
// fit into sun_path) a hashed name in a folder of the user's own under /tmp. Creates the folder (0700) and
// refuses one that belongs to somebody else. The path is announced through the journal's lock file; clients
// read it there.
absl::StatusOr<std::string> PrepareSocketPath(std::string_view state_folder, std::string_view rollout);

}  // namespace k3saga::control
