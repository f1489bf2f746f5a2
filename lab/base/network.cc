#include "lab/base/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <random>

namespace k3saga::lab {
namespace {

constexpr int kPorts[] = {2379, 2380, 2381, 6443, 7440, 10248};
constexpr int kAttempts = 400;

sockaddr_in SocketAddress(const std::string& address, int port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  return to;
}

bool CanBind(const std::string& address, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const sockaddr_in to = SocketAddress(address, port);
  const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0 && listen(fd, 1) == 0;
  close(fd);
  return bound;
}

bool AllFree(const std::string& prefix) {
  for (int port : kPorts) {
    if (!CanBind(prefix + ".1", port)) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<Network> AcquireNetwork() {
  const std::filesystem::path locks = "/tmp/k3saga-lab-networks";
  std::error_code ignored;
  std::filesystem::create_directory(locks, ignored);
  chmod(locks.c_str(), 01777);  // every user's labs share the machine's loopback
  std::minstd_rand random(static_cast<unsigned>(getpid()));
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // 127.0.0/24 and what systemd-resolved uses (127.0.0.53) are left alone.
    const std::string prefix = absl::StrCat("127.", 64 + random() % 128, ".", 1 + random() % 250);
    const int fd = open((locks / prefix).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) continue;  // another user's, and not for us
    fchmod(fd, 0666);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && AllFree(prefix)) return Network{prefix, fd};
    close(fd);
  }
  return absl::ResourceExhaustedError(
      "no free loopback network: every 127.X.Y.0/24 that was tried is locked (see /tmp/k3saga-lab-networks) "
      "or "
      "has k3s's ports in use");
}

bool CanConnect(const std::string& address, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const sockaddr_in to = SocketAddress(address, port);
  const bool connected = connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0;
  close(fd);
  return connected;
}

}  // namespace k3saga::lab
