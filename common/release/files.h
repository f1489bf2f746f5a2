#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace k3saga::release {

// What the files of a release are called on one architecture.
struct Files {
  std::string binary;
  std::string checksums;            // "HASH  FILE" lines
  std::vector<std::string> images;  // archives of images, best first; any one of them will do
};

// k3s's names for an architecture as Go calls it: "k3s-arm64", "sha256sum-arm64.txt",
// "k3s-airgap-images-arm64.tar.zst" and so on for "arm64".
Files FilesOf(std::string_view architecture);

// "amd64" for "k3s", "arm64" for "k3s-arm64", "sha256sum-arm64.txt" and "k3s-airgap-images-arm64.tar.zst";
// nullopt for a file that is not part of a release.
std::optional<std::string> ArchitectureOf(std::string_view file_name);

bool IsHttpUrl(std::string_view text);

// BASE/download/VERSION/FILE, as GitHub and its mirrors have it; a "+" in the version is escaped.
std::string UrlOf(std::string_view base, std::string_view version, std::string_view file_name);

// "HASH  FILE" (or "HASH *FILE") lines; "" when the file is not named. kInvalidArgument: named with something
// that is no SHA-256.
absl::StatusOr<std::string> FindChecksum(std::string_view checksum_file, std::string_view file_name);

// The first of these archives that the checksum file names, and its hash. kNotFound: none of them.
absl::StatusOr<std::pair<std::string, std::string>> FindImages(std::string_view checksum_file,
                                                               const std::vector<std::string>& names);

}  // namespace k3saga::release
