#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace k3saga::node {

struct DownloadOptions {
  std::chrono::milliseconds deadline{600'000};  // over all tries
  uint64_t size_cap = 4ull << 30;
  std::string proxy = {};  // "": what the agent's own environment says
  std::string no_proxy = {};
  // Bytes so far and in total (0: unknown); false stops with kCancelled.
  std::function<bool(uint64_t done, uint64_t total)> progress = {};
};

// Fetches `url` into `path`, going on where an earlier try (also of an earlier process) was cut. Tries again
// after a cut while the deadline allows, a little later each time. The content is not trusted: the caller
// verifies it. kNotFound: the server says there is no such file. kDeadlineExceeded, kCancelled,
// kResourceExhausted (disk full, or larger than the cap), kUnavailable (everything else, after all tries).
// Errors name the URL without its password.
absl::Status Download(const std::string& url, const std::string& path, const DownloadOptions& options);

}  // namespace k3saga::node
