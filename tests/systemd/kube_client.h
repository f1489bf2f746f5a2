#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace k3saga::hosts {

// What an administrator of a cluster holds, PEM. A secret.
struct AdminAccess {
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;
};

struct KubeReply {
  long code = 0;
  std::string body;
};

// Asks one server's Kubernetes API over a connection that is kept while it works. It sees the cluster as its
// users do: from outside, over the network of the thread that calls. One thread.
class KubeClient {
 public:
  KubeClient(std::string address, const AdminAccess* access);
  ~KubeClient();
  KubeClient(const KubeClient&) = delete;
  KubeClient& operator=(const KubeClient&) = delete;

  // Any HTTP status is a reply; an error is a connection that could not be made, broke or took longer than
  // `limit`.
  absl::StatusOr<KubeReply> Ask(std::string_view method, std::string_view path, std::string_view body = "",
                                std::chrono::milliseconds limit = std::chrono::seconds(1));

 private:
  const std::string base_;
  const AdminAccess* const access_;
  void* handle_;
};

}  // namespace k3saga::hosts
