#include "lab/base/unix_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/status_macros.h"

namespace k3saga::lab {
namespace {

// Calls `use` with an address for `path` that is short whatever the folder is called.
template <typename Use>
absl::Status WithAddress(const std::filesystem::path& path, Use use) {
  const int folder = open(path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path.parent_path().string()));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = absl::StrCat("/proc/self/fd/", folder, "/", path.filename().string());
  std::strncpy(address.sun_path, name.c_str(), sizeof(address.sun_path) - 1);
  const int result = use(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  close(folder);
  if (result != 0) return absl::ErrnoToStatus(error, path.string());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> ListenUnix(const std::filesystem::path& path) {
  unlink(path.c_str());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return absl::ErrnoToStatus(errno, "socket");
  absl::Status status = WithAddress(path, [&](const sockaddr* address, socklen_t size) {
    return bind(fd, address, size) | listen(fd, 64);
  });
  if (!status.ok()) {
    close(fd);
    return status;
  }
  return fd;
}

absl::StatusOr<int> ConnectUnix(const std::filesystem::path& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::ErrnoToStatus(errno, "socket");
  absl::Status status =
      WithAddress(path, [&](const sockaddr* address, socklen_t size) { return connect(fd, address, size); });
  if (!status.ok()) {
    close(fd);
    return absl::UnavailableError(absl::StrCat("the lab's daemon does not answer (",
                                               std::string(status.message()), "); is the lab up?"));
  }
  return fd;
}

absl::StatusOr<std::string> ExchangeLine(const std::filesystem::path& path, std::string line,
                                         std::chrono::milliseconds deadline) {
  K3SAGA_ASSIGN_OR_RETURN(const int fd, ConnectUnix(path));
  line += '\n';
  size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t n = send(fd, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) break;
    sent += static_cast<size_t>(n);
  }
  std::string reply;
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (reply.empty() || reply.back() != '\n') {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd waiting{fd, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      close(fd);
      return absl::DeadlineExceededError("the lab's daemon did not answer in time");
    }
    char buffer[4096];
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n <= 0) {
      close(fd);
      return absl::UnavailableError("the lab's daemon went away");
    }
    reply.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  reply.pop_back();
  return reply;
}

}  // namespace k3saga::lab
