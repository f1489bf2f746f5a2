#include "coordinator/agents/package.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <fstream>

#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::agents {
namespace {

constexpr char kProgram[] = "k3saga-agent";
constexpr uint64_t kLargest = 256ull << 20;

// e_machine of an ELF file, little-endian at byte 18.
std::string ArchitectureOfProgram(std::string_view head) {
  switch (static_cast<unsigned char>(head[18]) | static_cast<unsigned char>(head[19]) << 8) {
    case 62:
      return "amd64";
    case 183:
      return "arm64";
    default:
      return "";
  }
}

absl::Status NameOfPackage(const std::string& path, Package& package) {
  const std::vector<std::string> parts = absl::StrSplit(BaseName(path), '_');
  if (parts.size() != 3 || parts[0] != kProgram || !absl::EndsWith(parts[2], ".deb")) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": a package of the agent is called k3saga-agent_VERSION_ARCHITECTURE.deb"));
  }
  package.version = parts[1];
  package.architecture = parts[2].substr(0, parts[2].size() - 4);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Package> ReadPackage(const std::string& path) {
  Package package;
  package.path = path;
  K3SAGA_ASSIGN_OR_RETURN(package.bytes, FileSize(path));
  std::string head(20, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(head.data(), static_cast<std::streamsize>(head.size()))) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read, or is too short"));
  }
  if (package.bytes > kLargest) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": no agent is larger than ", kLargest >> 20, " MiB"));
  }
  if (absl::StartsWith(head, "!<arch>\n")) {
    package.wire_name = absl::StrCat(kProgram, ".deb");
    K3SAGA_RETURN_IF_ERROR(NameOfPackage(path, package));
  } else if (absl::StartsWith(head,
                              "\x7f"
                              "ELF")) {
    package.wire_name = kProgram;
    package.architecture = ArchitectureOfProgram(head);
  }
  if (package.architecture.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is neither a Debian package nor a program for amd64 or arm64"));
  }
  K3SAGA_ASSIGN_OR_RETURN(package.sha256, Sha256OfFile(path));
  return package;
}

absl::StatusOr<std::vector<Package>> ReadPackages(const std::vector<std::string>& paths) {
  std::vector<Package> packages;
  for (const std::string& path : paths) {
    K3SAGA_ASSIGN_OR_RETURN(Package package, ReadPackage(path));
    if (const Package* other = PackageFor(packages, package.architecture)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": ", other->path, " is for ", package.architecture, " too; give one of them"));
    }
    packages.push_back(std::move(package));
  }
  if (packages.empty()) return absl::InvalidArgumentError("no package was given");
  return packages;
}

const Package* PackageFor(const std::vector<Package>& packages, std::string_view architecture) {
  const auto found = std::find_if(packages.begin(), packages.end(), [&](const Package& package) {
    return package.architecture == architecture;
  });
  return found == packages.end() ? nullptr : &*found;
}

}  // namespace k3saga::agents
