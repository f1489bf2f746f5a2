#include "agent/kube/api.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <iterator>

#include "common/status_macros.h"

namespace k3saga::kube {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kOneRequest{10'000};
constexpr milliseconds kBetweenAttempts{500};
constexpr milliseconds kLongestWaitAsTold{30'000};
constexpr int kPage = 500;
constexpr int kMostPages = 1000;  // half a million objects
constexpr size_t kQuoted = 200;   // of a body that is no Status

bool WorthRepeating(int status) { return status == 429 || status >= 500; }

}  // namespace

std::string MessageOf(const Answer& answer) {
  const std::string message = TextAt(answer.json, {"message"});
  return message.empty() ? std::string(absl::StripAsciiWhitespace(answer.body.substr(0, kQuoted))) : message;
}

absl::Status ErrorOf(const Answer& answer, std::string_view request) {
  const std::string what =
      absl::StrCat("Kubernetes API: ", std::string(request), ": ", answer.status, " ", MessageOf(answer));
  switch (answer.status) {
    case 401:
    case 403:
      return absl::PermissionDeniedError(what);
    case 404:
      return absl::NotFoundError(what);
    case 409:
      return absl::AbortedError(what);
    default:
      return WorthRepeating(answer.status) ? absl::UnavailableError(what) : absl::InternalError(what);
  }
}

std::string Escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == '~') {
      escaped += c;
    } else {
      absl::StrAppendFormat(&escaped, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

absl::StatusOr<Answer> Api::SendOnce(const Request& request, milliseconds timeout) {
  HttpRequest http{.method = request.method, .url = server_ + request.path};
  http.timeout = std::min(timeout, kOneRequest);
  if (!request.body.is_null()) {
    http.content_type = request.content_type;
    http.body = request.body.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  K3SAGA_ASSIGN_OR_RETURN(HttpResponse response, http_.Send(http));
  Answer answer{.status = response.status,
                .json = Json::parse(response.body, nullptr, /*allow_exceptions=*/false),
                .body = std::move(response.body),
                .retry_after = response.retry_after,
                .date_unix_ms = response.date_unix_ms};
  if (answer.json.is_discarded()) {
    answer.json = nullptr;
  }
  return answer;
}

absl::StatusOr<Answer> Api::Send(const Request& request, const Patience& patience) {
  const milliseconds end = clock_.Steady() + patience.timeout;
  while (true) {
    if (patience.stop.stop_requested()) {
      return absl::CancelledError(absl::StrCat(request.method, " ", request.path, ": cancelled"));
    }
    auto answer = SendOnce(request, std::max(end - clock_.Steady(), milliseconds(1)));
    const bool repeat =
        answer.ok() ? WorthRepeating(answer->status)
                    : absl::IsUnavailable(answer.status()) || absl::IsDeadlineExceeded(answer.status());
    if (!repeat) {
      return answer;
    }
    milliseconds wait = kBetweenAttempts;
    if (answer.ok() && answer->retry_after) {
      wait = std::clamp<milliseconds>(*answer->retry_after, kBetweenAttempts, kLongestWaitAsTold);
    }
    if (clock_.Steady() + wait >= end) {
      return answer;
    }
    pauser_.Pause(wait, patience.stop);
  }
}

absl::StatusOr<Answer> Api::Get(const std::string& path, const Patience& patience) {
  Request request;
  request.path = path;
  K3SAGA_ASSIGN_OR_RETURN(Answer answer, Send(request, patience));
  if (!answer.ok()) {
    return ErrorOf(answer, "GET " + path);
  }
  return answer;
}

absl::StatusOr<Json::array_t> Api::List(const std::string& path, const Patience& patience,
                                        int64_t* date_unix_ms) {
  const std::string first =
      absl::StrCat(path, path.find('?') == std::string::npos ? "?" : "&", "limit=", kPage);
  Json::array_t items;
  std::string next;
  for (int page = 0; page < kMostPages; ++page) {
    Request request;
    request.path = next.empty() ? first : absl::StrCat(first, "&continue=", Escape(next));
    K3SAGA_ASSIGN_OR_RETURN(Answer answer, Send(request, patience));
    if (answer.status == 410 && !next.empty()) {
      items.clear();
      next.clear();
      continue;
    }
    if (!answer.ok()) {
      return ErrorOf(answer, "GET " + path);
    }
    if (date_unix_ms != nullptr) {
      *date_unix_ms = answer.date_unix_ms;
    }
    Json& found = answer.json["items"];
    if (found.is_array()) {
      std::move(found.begin(), found.end(), std::back_inserter(items));
    }
    next = TextAt(answer.json, {"metadata", "continue"});
    if (next.empty()) {
      return items;
    }
  }
  return absl::InternalError(absl::StrCat("Kubernetes API: GET ", path, ": the list never ends"));
}

}  // namespace k3saga::kube
