#include "tests/support/loopback.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

namespace k3saga::testing {
namespace {

bool CanBind(const std::string& address, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  const int reuse = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
  const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0;
  close(fd);
  return bound;
}

}  // namespace

std::vector<std::string> OwnLoopbackAddresses(size_t count, const std::vector<int>& ports) {
  static std::atomic<unsigned> calls = 0;
  const auto start = static_cast<unsigned>(getpid()) * 7 + calls++;
  for (unsigned attempt = 0; attempt < 1000; ++attempt) {
    const unsigned net = start + attempt * 31;
    std::vector<std::string> addresses;
    for (size_t host = 1; host <= count; ++host) {
      addresses.push_back(absl::StrCat("127.", 128 + net / 250 % 64, ".", 1 + net % 250, ".", host));
    }
    const bool free = std::all_of(addresses.begin(), addresses.end(), [&](const std::string& address) {
      return std::all_of(ports.begin(), ports.end(), [&](int port) { return CanBind(address, port); });
    });
    if (free) {
      return addresses;
    }
  }
  std::abort();
}

}  // namespace k3saga::testing
