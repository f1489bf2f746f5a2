#include "coordinator/cli/channel.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <curl/curl.h>

#include <algorithm>
#include <memory>

#include "common/version.h"

namespace k3saga::cli {
namespace {

constexpr long kTimeoutMs = 15'000;

bool IsChannelName(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  });
}

struct FreeCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

size_t IgnoreBody(char*, size_t size, size_t count, void*) { return size * count; }

// Where the URL redirects to; not followed.
absl::StatusOr<std::string> RedirectOf(const std::string& url) {
  std::unique_ptr<CURL, FreeCurl> curl(curl_easy_init());
  if (curl == nullptr) return absl::InternalError("libcurl cannot be set up");
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, IgnoreBody);
  if (CURLcode result = curl_easy_perform(curl.get()); result != CURLE_OK) {
    return absl::UnavailableError(absl::StrCat(url, ": ", curl_easy_strerror(result)));
  }
  long code = 0;
  char* location = nullptr;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &code);
  curl_easy_getinfo(curl.get(), CURLINFO_REDIRECT_URL, &location);
  if (location == nullptr) {
    return absl::NotFoundError(
        absl::StrCat(url, ": answered ", code, " instead of a redirect; is there such a channel?"));
  }
  return std::string(location);
}

}  // namespace

absl::StatusOr<std::string> ResolveTarget(const std::string& to, const std::string& channel_server) {
  auto version = Version::Parse(to);
  if (version.ok()) return version->ToString();
  // Whoever writes a "+" or two dots means a version.
  const bool like_a_version = to.find('+') != std::string::npos || std::count(to.begin(), to.end(), '.') >= 2;
  if (like_a_version || !IsChannelName(to)) return version.status();
  const std::string url = absl::StrCat(channel_server, "/", to);
  auto location = RedirectOf(url);
  if (!location.ok()) return location.status();
  std::string last =
      absl::StrReplaceAll(location->substr(location->rfind('/') + 1), {{"%2B", "+"}, {"%2b", "+"}});
  version = Version::Parse(last);
  if (!version.ok()) {
    return absl::NotFoundError(absl::StrCat(url, ": redirects to ", *location, ", which names no version"));
  }
  return version->ToString();
}

}  // namespace k3saga::cli
