#include "coordinator/control/socket_path.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::control {
namespace {

bool Fits(const std::string& path) { return path.size() < sizeof(sockaddr_un::sun_path); }

// Whoever can write to the folder could put a socket of his own in our place.
absl::Status PrepareFolder(const std::string& folder) {
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder, 0700));
  struct stat info {};
  if (lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid() ||
      (info.st_mode & 0077) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder, ": has to be a folder of your own that nobody else can enter (chmod 700), or be removed"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> PrepareSocketPath(std::string_view runtime_folder, std::string_view state_folder,
                                              std::string_view rollout) {
  const std::string name = absl::StrCat(std::string(rollout), ".sock");
  std::string folder = runtime_folder.empty() || !IsDirectory(std::string(runtime_folder))
                           ? JoinPath(state_folder, "run")
                           : JoinPath(runtime_folder, "k3saga");
  std::string path = JoinPath(folder, name);
  if (!Fits(path)) {
    const std::string hash = Sha256Of(absl::StrCat(std::string(state_folder), "\n", std::string(rollout)));
    folder = absl::StrCat("/tmp/k3saga-", geteuid());
    path = JoinPath(folder, hash.substr(0, 24) + ".sock");
  }
  K3SAGA_RETURN_IF_ERROR(PrepareFolder(folder));
  return path;
}

std::string SocketTarget(std::string_view path) {
  std::string target = "unix:";
  for (const char letter : path) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(letter)) || letter == '/' || letter == '-' ||
        letter == '.' || letter == '_' || letter == '~') {
      target += letter;
    } else {
      absl::StrAppend(&target, absl::StrFormat("%%%02X", static_cast<unsigned char>(letter)));
    }
  }
  return target;
}

}  // namespace k3saga::control
