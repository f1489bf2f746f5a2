#include "agent/kube/http.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <curl/curl.h>

#include <algorithm>
#include <utility>

namespace k3saga::kube {
namespace {

constexpr size_t kIdleHandles = 4;

// What libcurl's callbacks fill in.
struct Reply {
  HttpResponse response;
  size_t limit = 0;
  bool too_large = false;
};

size_t TakeBody(char* data, size_t size, size_t count, void* user) {
  auto* reply = static_cast<Reply*>(user);
  const size_t bytes = size * count;
  if (reply->response.body.size() + bytes > reply->limit) {
    reply->too_large = true;
    return 0;  // ends the transfer
  }
  reply->response.body.append(data, bytes);
  return bytes;
}

size_t TakeHeader(char* data, size_t size, size_t count, void* user) {
  auto* reply = static_cast<Reply*>(user);
  const std::string line(data, size * count);
  const size_t colon = line.find(':');
  if (colon == std::string::npos) {
    return size * count;
  }
  const std::string name = absl::AsciiStrToLower(line.substr(0, colon));
  const std::string value(absl::StripAsciiWhitespace(line.substr(colon + 1)));
  if (name == "retry-after") {
    int seconds = 0;
    if (absl::SimpleAtoi(value, &seconds) && seconds >= 0) {
      reply->response.retry_after = std::chrono::seconds(seconds);
    }
  } else if (name == "date") {
    const time_t at = curl_getdate(value.c_str(), nullptr);
    reply->response.date_unix_ms = at < 0 ? 0 : static_cast<int64_t>(at) * 1000;
  }
  return size * count;
}

struct SListFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, SListFree>;

void AddHeader(HeaderList& list, const std::string& line) {
  list.reset(curl_slist_append(list.release(), line.c_str()));
}

curl_blob BlobOf(const std::string& pem) {
  return {.data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_NOCOPY};
}

}  // namespace

// One libcurl handle with its connections.
class HttpClient::Handle {
 public:
  Handle() : curl_(curl_easy_init()) {}
  ~Handle() { curl_easy_cleanup(curl_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  absl::StatusOr<HttpResponse> Send(const HttpIdentity& identity, const HttpRequest& request) {
    curl_easy_reset(curl_);  // keeps the connections
    Reply reply;
    reply.limit = request.largest_reply;
    char error[CURL_ERROR_SIZE] = "";
    HeaderList headers;
    AddHeader(headers, "Accept: application/json");
    AddHeader(headers, "Expect:");
    if (!request.content_type.empty()) {
      AddHeader(headers, "Content-Type: " + request.content_type);
    }
    if (!identity.bearer_token.empty()) {
      AddHeader(headers, "Authorization: Bearer " + identity.bearer_token);
    }
    SetRequest(request);
    SetIdentity(identity);
    curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl_, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, &TakeBody);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, &reply);
    curl_easy_setopt(curl_, CURLOPT_HEADERFUNCTION, &TakeHeader);
    curl_easy_setopt(curl_, CURLOPT_HEADERDATA, &reply);
    const CURLcode code = curl_easy_perform(curl_);
    if (reply.too_large) {
      return absl::OutOfRangeError(
          absl::StrCat(request.url, ": the answer is larger than ", request.largest_reply, " bytes"));
    }
    if (code != CURLE_OK) {
      const std::string what = absl::StrCat(request.method, " ", request.url, ": ",
                                            error[0] != '\0' ? error : curl_easy_strerror(code));
      return code == CURLE_OPERATION_TIMEDOUT ? absl::DeadlineExceededError(what)
                                              : absl::UnavailableError(what);
    }
    long status = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    reply.response.status = static_cast<int>(status);
    return std::move(reply.response);
  }

 private:
  void SetRequest(const HttpRequest& request) {
    const bool https = absl::StartsWith(request.url, "https://");
    curl_easy_setopt(curl_, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(curl_, CURLOPT_PROTOCOLS_STR, https ? "https" : "http");
    curl_easy_setopt(curl_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_NOPROXY, "*");
    const auto timeout = static_cast<long>(std::max<int64_t>(request.timeout.count(), 1));
    curl_easy_setopt(curl_, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(curl_, CURLOPT_CONNECTTIMEOUT_MS, timeout);
    curl_easy_setopt(curl_, CURLOPT_USERAGENT, "k3saga-agent/" K3SAGA_VERSION);
    if (request.method != "GET") {
      curl_easy_setopt(curl_, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
    if (!request.body.empty()) {
      curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, request.body.c_str());
    }
  }

  void SetIdentity(const HttpIdentity& identity) {
    curl_easy_setopt(curl_, CURLOPT_CAINFO, nullptr);
    curl_easy_setopt(curl_, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(curl_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    curl_blob blob = BlobOf(identity.ca_pem);
    curl_easy_setopt(curl_, CURLOPT_CAINFO_BLOB, &blob);
    if (!identity.certificate_pem.empty()) {
      blob = BlobOf(identity.certificate_pem);
      curl_easy_setopt(curl_, CURLOPT_SSLCERT_BLOB, &blob);
      blob = BlobOf(identity.key_pem);
      curl_easy_setopt(curl_, CURLOPT_SSLKEY_BLOB, &blob);
    }
  }

  CURL* const curl_;
};

HttpClient::HttpClient(HttpIdentity identity) : identity_(std::move(identity)) {
  static std::once_flag initialised;
  std::call_once(initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpClient::Handle> HttpClient::Take() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) {
    return std::make_unique<Handle>();
  }
  auto handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

void HttpClient::GiveBack(std::unique_ptr<Handle> handle) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kIdleHandles) {
    idle_.push_back(std::move(handle));
  }
}

absl::StatusOr<HttpResponse> HttpClient::Send(const HttpRequest& request) {
  auto handle = Take();
  auto response = handle->Send(identity_, request);
  GiveBack(std::move(handle));
  return response;
}

void HttpClient::Rest() {
  std::vector<std::unique_ptr<Handle>> closing;
  const std::lock_guard lock(mutex_);
  closing.swap(idle_);
}

}  // namespace k3saga::kube
