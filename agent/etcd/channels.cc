#include "agent/etcd/channels.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/strip.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::etcd {
namespace {

constexpr int kRefusalMillis = 500;

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> Split(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == address.size()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", std::string(address), "\": expected HOST:PORT"));
  }
  std::string host(address.substr(0, colon));
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return HostPort{.host = host, .port = std::string(address.substr(colon + 1))};
}

bool IsAddress(int family, const std::string& host) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) {
    return false;
  }
  freeaddrinfo(found);
  return true;
}

}  // namespace

absl::StatusOr<std::string> TargetOf(std::string_view address_or_url) {
  std::string address(address_or_url);
  const size_t scheme = address.find("://");
  if (scheme != std::string::npos) {
    if (address.substr(0, scheme) != "https") {
      return absl::InvalidArgumentError(absl::StrCat(address, ": only https:// is spoken with etcd"));
    }
    address = address.substr(scheme + 3);
  }
  K3SAGA_ASSIGN_OR_RETURN(const HostPort parts, Split(address));
  if (IsAddress(AF_INET, parts.host)) {
    return absl::StrCat("ipv4:", address);
  }
  if (IsAddress(AF_INET6, parts.host)) {
    return absl::StrCat("ipv6:[", parts.host, "]:", parts.port);
  }
  return absl::StrCat("dns:///", address);
}

bool ConnectionRefused(std::string_view address) {
  const auto parts = Split(address);
  if (!parts.ok()) {
    return false;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(parts->host.c_str(), parts->port.c_str(), &hints, &found) != 0) {
    return false;
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return false;
  }
  int error = connect(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    // The own member is on this machine: the answer takes no time.
    pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
    socklen_t size = sizeof(error);
    if (poll(&wait, 1, kRefusalMillis) == 1) {
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  close(fd);
  return error == ECONNREFUSED;
}

absl::Status Channels::Refresh(const Access& access) {
  Pems pems;
  K3SAGA_ASSIGN_OR_RETURN(pems.ca, ReadFile(access.ca_file));
  K3SAGA_ASSIGN_OR_RETURN(pems.certificate, ReadFile(access.certificate_file));
  K3SAGA_ASSIGN_OR_RETURN(pems.key, ReadFile(access.key_file));
  const std::lock_guard lock(mutex_);
  if (credentials_ == nullptr || !(pems == pems_)) {
    channels_.clear();
    credentials_ = grpc::SslCredentials(
        {.pem_root_certs = pems.ca, .pem_private_key = pems.key, .pem_cert_chain = pems.certificate});
    pems_ = std::move(pems);
  }
  return absl::OkStatus();
}

std::shared_ptr<grpc::Channel> Channels::To(const std::string& target) {
  const std::lock_guard lock(mutex_);
  auto& channel = channels_[target];
  // One that waits to reconnect would answer with a failure of the past.
  if (channel == nullptr || channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL,
                     1);  // else the old failure is shared with the new channel
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    channel = grpc::CreateCustomChannel(target, credentials_, arguments);
  }
  return channel;
}

void Channels::Drop(const std::string& target) {
  const std::lock_guard lock(mutex_);
  channels_.erase(target);
}

void Channels::DropAll() {
  const std::lock_guard lock(mutex_);
  channels_.clear();
}

}  // namespace k3saga::etcd
