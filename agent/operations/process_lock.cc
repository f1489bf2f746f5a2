#include "agent/operations/process_lock.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "common/status_macros.h"

namespace k3saga::operations {
namespace {

absl::StatusOr<UniqueFd> OpenLock(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return absl::InternalError(absl::StrCat(path, ": open: ", std::strerror(errno)));
  return fd;
}

// True: locked. False: somebody else holds it.
absl::StatusOr<bool> TryLock(const UniqueFd& fd, int mode, const std::string& path) {
  if (flock(fd.get(), mode | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK || errno == EINTR) return false;
  return absl::InternalError(absl::StrCat(path, ": flock: ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<ProcessLock> ProcessLock::Acquire(const std::string& path,
                                                 std::chrono::milliseconds patience) {
  K3SAGA_ASSIGN_OR_RETURN(UniqueFd fd, OpenLock(path));
  constexpr std::chrono::milliseconds kBetween{50};
  for (auto waited = std::chrono::milliseconds(0);; waited += kBetween) {
    K3SAGA_ASSIGN_OR_RETURN(const bool locked, TryLock(fd, LOCK_EX, path));
    if (locked) return ProcessLock(std::move(fd));
    if (waited >= patience)
      return absl::UnavailableError(absl::StrCat(path, ": another operation's process holds it"));
    std::this_thread::sleep_for(kBetween);
  }
}

absl::StatusOr<bool> ProcessLock::IsHeld(const std::string& path) {
  K3SAGA_ASSIGN_OR_RETURN(const UniqueFd fd, OpenLock(path));
  K3SAGA_ASSIGN_OR_RETURN(const bool locked, TryLock(fd, LOCK_SH, path));
  return !locked;
}

}  // namespace k3saga::operations
