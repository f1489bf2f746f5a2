#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "agent/kube/http.h"
#include "agent/kube/json.h"
#include "common/host/clock.h"
#include "common/host/pause.h"

namespace k3saga::kube {

// An answer of the API server. `json` is null when the body is none.
struct Answer {
  int status = 0;
  Json json;
  std::string body;
  std::optional<std::chrono::seconds> retry_after;
  int64_t date_unix_ms = 0;

  bool ok() const { return status >= 200 && status < 300; }
};

// What a metav1.Status says for people.
std::string MessageOf(const Answer& answer);

// An answer that is no success as an error: 401 and 403 kPermissionDenied, 404 kNotFound, 409 kAborted, 429
// and 5xx kUnavailable, the rest kInternal; the message names the request.
absl::Status ErrorOf(const Answer& answer, std::string_view request);

// A text as part of a path or query.
std::string Escape(std::string_view text);

// JSON requests to one API server. Thread-safe where HttpClient, Clock and Pauser are.
class Api {
 public:
  // `server`: "https://127.0.0.1:6443". The references must outlive it.
  Api(std::string server, HttpClient& http, const Clock& clock, Pauser& pauser)
      : server_(std::move(server)), http_(http), clock_(clock), pauser_(pauser) {}

  struct Request {
    std::string method = "GET";
    std::string path;  // with its query
    std::string content_type = "application/json";
    Json body = {};  // null: none
  };

  // One request. Any answer is an Answer.
  absl::StatusOr<Answer> SendOnce(const Request& request, std::chrono::milliseconds timeout);

  // Repeats while the server is away, busy (429) or failing (5xx), until the patience is over; kCancelled
  // when stopped. Only for what may be repeated.
  absl::StatusOr<Answer> Send(const Request& request, const Patience& patience);

  // Send a GET; anything but success is an error.
  absl::StatusOr<Answer> Get(const std::string& path, const Patience& patience);

  // All items of a list, page by page. `path` without limit and continue. A list that changed so much that
  // the pages expired (410) starts again.
  absl::StatusOr<Json::array_t> List(const std::string& path, const Patience& patience,
                                     int64_t* date_unix_ms = nullptr);

 private:
  const std::string server_;
  HttpClient& http_;
  const Clock& clock_;
  Pauser& pauser_;
};

}  // namespace k3saga::kube
