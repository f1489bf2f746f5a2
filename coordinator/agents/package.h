#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::agents {

// What agents are replaced by: a file of this machine.
struct Package {
  std::string path;
  std::string wire_name;     // as agents store it: "k3saga-agent.deb", "k3saga-agent"
  std::string architecture;  // "amd64", "arm64"
  std::string version;       // as a package's file name says; "" of a program, which its node asks
  uint64_t bytes = 0;
  std::string sha256;
};

// What the file is, by its first bytes, and for which architecture: a Debian package by its name
// (k3saga-agent_0.2.0_amd64.deb), a program by its head. Reads it whole. kInvalidArgument for anything else.
absl::StatusOr<Package> ReadPackage(const std::string& path);

// At least one, and one an architecture.
absl::StatusOr<std::vector<Package>> ReadPackages(const std::vector<std::string>& paths);

// nullptr when there is none.
const Package* PackageFor(const std::vector<Package>& packages, std::string_view architecture);

}  // namespace k3saga::agents
