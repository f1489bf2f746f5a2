#pragma once

#include <absl/status/statusor.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace k3saga::lab {

// What a release's binary says about itself. It stands behind the program's own bytes in the same file, so
// that each release is a real file of its own: other bytes, another checksum, another version.
struct ReleaseInfo {
  std::string version;    // what `k3s --version` prints and the node reports
  nlohmann::json faults;  // built in; see control/faults.h
};

// The file of the running program.
absl::StatusOr<ReleaseInfo> OwnRelease();
absl::StatusOr<ReleaseInfo> ReadRelease(const std::filesystem::path& binary);

// DIR/VERSION/{k3s, sha256sum-amd64.txt (by architecture)}: `program` with `info` behind it.
absl::Status WriteRelease(const std::filesystem::path& program, const std::filesystem::path& releases,
                          const std::string& version, const ReleaseInfo& info);
// Writes the checksum file for what is there now.
absl::Status WriteChecksums(const std::filesystem::path& releases, const std::string& version);

// "k3s" or "k3s-arm64", and "sha256sum-amd64.txt": as real releases name them on this machine.
std::string BinaryFileName();
std::string ChecksumFileName();

}  // namespace k3saga::lab
