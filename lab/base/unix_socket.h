#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <filesystem>
#include <string>

namespace k3saga::lab {

// Unix sockets below folders of any length (sun_path holds 107 bytes): the folder is opened and named through
// /proc/self/fd.
absl::StatusOr<int> ListenUnix(const std::filesystem::path& path);
absl::StatusOr<int> ConnectUnix(const std::filesystem::path& path);

// One line out, one line back, as the lab's daemon is spoken to.
absl::StatusOr<std::string> ExchangeLine(const std::filesystem::path& path, std::string line,
                                         std::chrono::milliseconds deadline);

}  // namespace k3saga::lab
