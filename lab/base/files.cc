#include "lab/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "common/status_macros.h"

namespace k3saga::lab {

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path.string()));
  std::ostringstream contents;
  contents << file.rdbuf();
  return std::move(contents).str();
}

absl::Status MakeDirectories(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot make ", path.string(), ": ", error.message()));
  return absl::OkStatus();
}

absl::Status WriteFile(const std::filesystem::path& path, std::string_view contents, unsigned mode) {
  static std::atomic<unsigned> counter{0};
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(path.parent_path()));
  const std::string temporary = absl::StrCat(path.string(), ".new-", getpid(), "-", counter.fetch_add(1));
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", temporary));
  fchmod(fd, mode);  // whatever the umask says
  while (!contents.empty()) {
    const ssize_t written = write(fd, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      absl::Status error = absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", temporary));
      close(fd);
      unlink(temporary.c_str());
      return error;
    }
    contents.remove_prefix(static_cast<size_t>(written));
  }
  close(fd);
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot put ", path.string(), " in place"));
  }
  return absl::OkStatus();
}

}  // namespace k3saga::lab
