#include "tests/systemd/kube_client.h"

#include <curl/curl.h>

#include <mutex>

namespace k3saga::hosts {
namespace {

size_t Append(char* data, size_t size, size_t count, void* target) {
  static_cast<std::string*>(target)->append(data, size * count);
  return size * count;
}

void SetBlob(CURL* handle, CURLoption option, const std::string& pem) {
  curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_NOCOPY};
  curl_easy_setopt(handle, option, &blob);
}

}  // namespace

KubeClient::KubeClient(std::string address, const AdminAccess* access)
    : base_(absl::StrCat("https://", address, ":6443")), access_(access) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  handle_ = curl_easy_init();
}

KubeClient::~KubeClient() { curl_easy_cleanup(handle_); }

absl::StatusOr<KubeReply> KubeClient::Ask(std::string_view method, std::string_view path,
                                          std::string_view body, std::chrono::milliseconds limit) {
  CURL* handle = handle_;
  curl_easy_reset(handle);  // options only: the connection stays
  KubeReply reply;
  const std::string url = absl::StrCat(base_, std::string(path));
  const std::string verb(method);
  const std::string content(body);
  curl_slist* headers =
      curl_slist_append(nullptr, method == "PATCH" ? "Content-Type: application/merge-patch+json"
                                                   : "Content-Type: application/json");
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, verb.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  if (!content.empty()) {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, content.c_str());
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(content.size()));
  }
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, Append);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &reply.body);
  SetBlob(handle, CURLOPT_CAINFO_BLOB, access_->ca_pem);
  SetBlob(handle, CURLOPT_SSLCERT_BLOB, access_->certificate_pem);
  SetBlob(handle, CURLOPT_SSLKEY_BLOB, access_->key_pem);
  const CURLcode code = curl_easy_perform(handle);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &reply.code);
  curl_slist_free_all(headers);
  if (code != CURLE_OK) {
    return absl::UnavailableError(absl::StrCat(url, ": ", curl_easy_strerror(code)));
  }
  return reply;
}

}  // namespace k3saga::hosts
