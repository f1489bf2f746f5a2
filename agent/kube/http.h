#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::kube {

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // https://..., or http:// where no identity is shown
  std::string content_type = {};
  std::string body = {};
  std::chrono::milliseconds timeout{10'000};
  size_t largest_reply = 64u << 20;
};

struct HttpResponse {
  int status = 0;
  std::string body;
  std::optional<std::chrono::seconds> retry_after;
  int64_t date_unix_ms = 0;  // the server's own clock, in whole seconds; 0 when it did not say
};

// Whom to trust and who we are, PEM. Empty for plain http.
struct HttpIdentity {
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;
  std::string bearer_token;
};

// HTTP/1.1 with libcurl: mutual TLS, every request with a deadline and a size limit, connections kept open
// and used again. No proxies, no redirects, only the given authority is trusted. Thread-safe.
class HttpClient {
 public:
  explicit HttpClient(HttpIdentity identity);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any answer is a response, whatever its status. kUnavailable: no answer (refused, cut, TLS);
  // kDeadlineExceeded; kOutOfRange: the answer is larger than allowed.
  absl::StatusOr<HttpResponse> Send(const HttpRequest& request);

  // Closes the connections that are not in use.
  void Rest();

 private:
  class Handle;
  std::unique_ptr<Handle> Take();
  void GiveBack(std::unique_ptr<Handle> handle);

  const HttpIdentity identity_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_;  // mutex_
};

}  // namespace k3saga::kube
