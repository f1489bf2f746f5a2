#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "agent/etcd/etcd.h"

namespace k3saga::etcd {

// "ipv4:10.0.0.1:2379" for "10.0.0.1:2379" or "https://10.0.0.1:2379"; kInvalidArgument for anything without
// TLS.
absl::StatusOr<std::string> TargetOf(std::string_view address_or_url);

// Whether the kernel refuses a connection to "host:port" at once: then nobody listens there.
bool ConnectionRefused(std::string_view address);

// Channels to etcd members, kept open between calls and made again when the certificates on disk changed or a
// peer went away. Thread-safe.
class Channels {
 public:
  // Reads the certificates; drops every channel when they are not what they were. The error names the file.
  absl::Status Refresh(const Access& access);
  // After Refresh.
  std::shared_ptr<grpc::Channel> To(const std::string& target);
  // The next To(target) connects anew: for a peer that did not answer.
  void Drop(const std::string& target);
  void DropAll();

 private:
  struct Pems {
    std::string ca;
    std::string certificate;
    std::string key;
    bool operator==(const Pems&) const = default;
  };

  std::mutex mutex_;
  Pems pems_;                                                       // mutex_
  std::shared_ptr<grpc::ChannelCredentials> credentials_;           // mutex_
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;  // mutex_
};

}  // namespace k3saga::etcd
