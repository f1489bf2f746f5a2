#pragma once

#include <absl/status/statusor.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace k3saga::lab {

// The lab's files are thrown away with the lab: atomic against readers, not against power cuts.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path);

// Through a temporary file beside it and a rename; makes the folders above it.
absl::Status WriteFile(const std::filesystem::path& path, std::string_view contents, unsigned mode = 0644);

absl::Status MakeDirectories(const std::filesystem::path& path);

}  // namespace k3saga::lab
