#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <string>

namespace k3saga::gate {

enum class Redirects { kRefuse, kFollow };

// The body of a 200; http and https only, at most 16 MiB. kUnavailable for anything else; the message does
// not name the URL, which may carry a password. Blocks.
absl::StatusOr<std::string> HttpGet(const std::string& url, std::chrono::milliseconds timeout,
                                    Redirects redirects);

}  // namespace k3saga::gate
