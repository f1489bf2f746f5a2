#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace k3saga::release {

constexpr uint64_t kChecksumFileCap = 1ull << 20;
constexpr uint64_t kInstallerCap = 4ull << 20;
// Stays free on a disk that a release is brought to.
constexpr uint64_t kKeepFree = 64ull << 20;

// A file of a release that has to have this hash.
struct Wanted {
  std::string name;
  std::string sha256;
  std::string path;    // where it shall be
  std::string source;  // for people: who says that this is its hash
};

// Brings it to `path`: what is there and has the hash stays, else `fetch` brings it to the partial file it is
// given (PATH.part), going on with what that holds. What then has another hash is thrown away; once it is
// fetched anew if it was begun earlier, because then the beginning may be of something else.
// CHECKSUM_MISMATCH (a typed reason), and fetch's errors.
absl::Status FetchVerified(const Wanted& wanted,
                           const std::function<absl::Status(const std::string& partial)>& fetch);

// A typed reason stays; any other error of a transfer becomes what it means to whoever asked for the release:
// RELEASE_UNAVAILABLE, DOWNLOAD_FAILED, DISK_SPACE ("make room on MACHINE"), CANCELLED, TIMED_OUT.
absl::Status TransferError(const absl::Status& error, std::string_view subject, std::string_view machine);

}  // namespace k3saga::release
