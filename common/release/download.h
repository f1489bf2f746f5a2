#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace k3saga::release {

struct DownloadOptions {
  std::chrono::milliseconds deadline{600'000};  // over all tries
  uint64_t size_cap = 4ull << 30;
  uint64_t keep_free = 0;  // so many bytes stay free on the disk: stops before it is full
  std::string proxy = {};  // "": what this program's own environment says
  std::string no_proxy = {};
  // Bytes so far and in total (0: unknown), at least every second; false stops with kCancelled.
  std::function<bool(uint64_t done, uint64_t total)> progress = {};
};

// Fetches `url` into `path`, going on where an earlier try (also of an earlier process) was cut. Tries again
// after a cut while the deadline allows, a little later each time. The content is not trusted: the caller
// verifies it. kNotFound: the server says there is no such file. kDeadlineExceeded, kCancelled,
// kResourceExhausted (disk full, or larger than the cap), kUnavailable (everything else, after all tries).
// Errors name the URL without its password. Mode 0600. Blocks.
absl::Status Download(const std::string& url, const std::string& path, const DownloadOptions& options);

// kResourceExhausted, with both numbers, unless `more` bytes find room beside `path` and `keep_free` stay.
absl::Status CheckSpace(const std::string& path, uint64_t more, uint64_t keep_free);

}  // namespace k3saga::release
