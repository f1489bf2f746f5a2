#include "lab/k3s/release_file.h"

#include <sys/utsname.h>

#include <cstring>
#include <fstream>

#include "common/status_macros.h"
#include "lab/base/files.h"
#include "lab/base/pki.h"

namespace k3saga::lab {
namespace {

using nlohmann::json;

// At the very end of the file: JSON, its length in eight decimal digits, this mark.
constexpr std::string_view kMark = "\nk3saga-lab-release\n";
constexpr int kLengthDigits = 8;

bool IsArm64() {
  utsname name{};
  uname(&name);
  return std::strcmp(name.machine, "aarch64") == 0;
}

}  // namespace

std::string BinaryFileName() { return IsArm64() ? "k3s-arm64" : "k3s"; }
std::string ChecksumFileName() { return IsArm64() ? "sha256sum-arm64.txt" : "sha256sum-amd64.txt"; }

absl::StatusOr<ReleaseInfo> ReadRelease(const std::filesystem::path& binary) {
  std::ifstream file(binary, std::ios::binary);
  const auto tail_size = static_cast<std::streamoff>(kMark.size() + kLengthDigits);
  std::string tail(static_cast<size_t>(tail_size), '\0');
  file.seekg(-tail_size, std::ios::end);
  file.read(tail.data(), tail_size);
  if (!file || std::string_view(tail).substr(kLengthDigits) != kMark) {
    return absl::DataLossError(absl::StrCat(binary.string(), " is no release of the lab (cut off?)"));
  }
  const long length = std::strtol(tail.substr(0, kLengthDigits).c_str(), nullptr, 10);
  std::string text(static_cast<size_t>(length), '\0');
  file.seekg(-tail_size - length, std::ios::end);
  file.read(text.data(), length);
  json info = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!file || !info.is_object()) return absl::DataLossError(absl::StrCat(binary.string(), " is damaged"));
  return ReleaseInfo{info.value("version", ""), info.value("faults", json::object())};
}

absl::StatusOr<ReleaseInfo> OwnRelease() { return ReadRelease("/proc/self/exe"); }

absl::Status WriteRelease(const std::filesystem::path& program, const std::filesystem::path& releases,
                          const std::string& version, const ReleaseInfo& info) {
  K3SAGA_ASSIGN_OR_RETURN(std::string contents, ReadFile(program));
  const std::string text = json{{"version", info.version}, {"faults", info.faults}}.dump();
  char length[kLengthDigits + 1];
  std::snprintf(length, sizeof(length), "%0*zu", kLengthDigits, text.size());
  absl::StrAppend(&contents, text, length, std::string(kMark));
  K3SAGA_RETURN_IF_ERROR(WriteFile(releases / version / BinaryFileName(), contents, 0755));
  return WriteChecksums(releases, version);
}

absl::Status WriteChecksums(const std::filesystem::path& releases, const std::string& version) {
  K3SAGA_ASSIGN_OR_RETURN(std::string contents, ReadFile(releases / version / BinaryFileName()));
  return WriteFile(releases / version / ChecksumFileName(),
                   absl::StrCat(Sha256Hex(contents), "  ", BinaryFileName(), "\n"));
}

}  // namespace k3saga::lab
