#include "common/release/files.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "common/status_macros.h"

namespace k3saga::release {
namespace {

constexpr const char* kArchitectures[] = {"amd64", "arm64", "arm", "s390x"};

// "k3s", "k3s-arm64", "k3s-armhf", "k3s-s390x".
std::string BinaryOf(std::string_view architecture) {
  if (architecture == "amd64") return "k3s";
  if (architecture == "arm") return "k3s-armhf";
  return "k3s-" + std::string(architecture);
}

}  // namespace

Files FilesOf(std::string_view architecture) {
  const std::string name(architecture);
  Files files{
      .binary = BinaryOf(architecture), .checksums = absl::StrCat("sha256sum-", name, ".txt"), .images = {}};
  for (const char* ending : {".tar.zst", ".tar.gz", ".tar"}) {
    files.images.push_back(absl::StrCat("k3s-airgap-images-", name, ending));
  }
  return files;
}

std::optional<std::string> ArchitectureOf(std::string_view file_name) {
  for (const char* architecture : kArchitectures) {
    const Files files = FilesOf(architecture);
    if (file_name == files.binary || file_name == files.checksums ||
        std::find(files.images.begin(), files.images.end(), file_name) != files.images.end()) {
      return architecture;
    }
  }
  return std::nullopt;
}

bool IsHttpUrl(std::string_view text) {
  return text.substr(0, 7) == "http://" || text.substr(0, 8) == "https://";
}

std::string UrlOf(std::string_view base, std::string_view version, std::string_view file_name) {
  while (!base.empty() && base.back() == '/') base.remove_suffix(1);
  return absl::StrCat(std::string(base), "/download/",
                      absl::StrReplaceAll(std::string(version), {{"+", "%2B"}}), "/", std::string(file_name));
}

absl::StatusOr<std::string> FindChecksum(std::string_view checksum_file, std::string_view file_name) {
  for (absl::string_view line :
       absl::StrSplit(absl::string_view(checksum_file.data(), checksum_file.size()), '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() != 2) continue;
    std::string_view name = words[1];
    if (!name.empty() && name.front() == '*') name.remove_prefix(1);
    if (name != file_name) continue;
    const std::string& sha256 = words[0];
    if (sha256.size() != 64 || sha256.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("the checksum of ", std::string(file_name), " is no SHA-256"));
    }
    return absl::AsciiStrToLower(sha256);
  }
  return std::string();
}

absl::StatusOr<std::pair<std::string, std::string>> FindImages(std::string_view checksum_file,
                                                               const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    K3SAGA_ASSIGN_OR_RETURN(std::string sha, FindChecksum(checksum_file, name));
    if (!sha.empty()) return std::pair(name, std::move(sha));
  }
  return absl::NotFoundError("the release names no archive of images");
}

}  // namespace k3saga::release
