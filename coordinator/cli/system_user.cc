#include "coordinator/cli/system_user.h"

#include <absl/strings/str_cat.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "common/host/files.h"

namespace k3saga::cli {
namespace {

constexpr char kUser[] = "k3saga";

bool BelongsTo(uid_t user, const std::string& cluster_file) {
  struct stat info {};
  if (stat(cluster_file.c_str(), &info) == 0) return info.st_uid == user;
  const bool here = cluster_file.find('/') == std::string::npos;
  const std::string folder = here ? "." : DirName(cluster_file);
  return stat(folder.c_str(), &info) == 0 && info.st_uid == user;
}

}  // namespace

absl::Status ActAsSystemUser(const std::string& cluster_file) {
  if (geteuid() != 0) return absl::OkStatus();
  const passwd* user = getpwnam(kUser);
  if (user == nullptr || user->pw_uid == 0 || !BelongsTo(user->pw_uid, cluster_file)) return absl::OkStatus();
  if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
      setuid(user->pw_uid) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat(cluster_file, " belongs to the user ", kUser,
                     ", and this process cannot become it: ", std::strerror(errno)));
  }
  setenv("HOME", user->pw_dir, 1);
  // Root's own, if anybody's.
  unsetenv("XDG_STATE_HOME");
  unsetenv("XDG_RUNTIME_DIR");
  return absl::OkStatus();
}

}  // namespace k3saga::cli
