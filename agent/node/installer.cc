#include "agent/node/installer.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "common/host/crash_point.h"
#include "common/host/files.h"
#include "common/host/process.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::node {
namespace {

CrashPoint kBeforePlace("installer.before_place");
CrashPoint kAfterPlace("installer.after_place");

}  // namespace

std::string InstallerCall::Describe() const {
  std::vector<std::string> shown;
  for (const std::string& variable : environment) {
    const std::string key = variable.substr(0, variable.find('='));
    shown.push_back(key == flags_variable ? key + "=..."
                                          : key + "=" + MaskValue(key, variable.substr(key.size() + 1)));
  }
  return absl::StrJoin(argv, " ") + " with " + absl::StrJoin(shown, " ");
}

absl::Status PlaceBinary(const std::string& staged, const std::string& target) {
  kBeforePlace.MaybeDie();
  K3SAGA_ASSIGN_OR_RETURN(const uint64_t size, FileSize(staged));
  if (const auto there = FileSize(target); there.ok() && *there == size && IsExecutableFile(target)) {
    K3SAGA_ASSIGN_OR_RETURN(const std::string wanted, Sha256OfFile(staged));
    const auto same = Sha256OfFile(target);
    if (same.ok() && *same == wanted) return absl::OkStatus();
  }
  K3SAGA_ASSIGN_OR_RETURN(const uint64_t free, FreeBytes(DirName(target)));
  if (free < size) {
    return ReasonError(
        MakeReason(v1::DISK_SPACE, DirName(target),
                   absl::StrCat("the binary needs ", size >> 20, " MiB, ", free >> 20, " MiB are free")),
        absl::StatusCode::kResourceExhausted);
  }
  K3SAGA_RETURN_IF_ERROR(ReplaceFileDurably(staged, target, 0755, Sharing::kAllowed));
  kAfterPlace.MaybeDie();
  return absl::OkStatus();
}

absl::Status RunInstaller(const InstallerCall& call, std::chrono::milliseconds deadline, Systemd& systemd) {
  auto result = Run({.argv = call.argv, .environment = call.environment, .deadline = deadline});
  // Also after a failure: whatever it wrote, systemd shall know what is on disk.
  const absl::Status reloaded = systemd.DaemonReload();
  if (!result.ok()) {
    const auto code = absl::IsDeadlineExceeded(result.status()) ? v1::TIMED_OUT : v1::INSTALLER_FAILED;
    return ReasonError(
        MakeReason(code, "installer", call.secrets.Apply(std::string(result.status().message()))),
        result.status().code());
  }
  if (!result->ok()) {
    return ReasonError(MakeReason(v1::INSTALLER_FAILED, "installer", call.secrets.Apply(result->Describe())));
  }
  return reloaded;
}

}  // namespace k3saga::node
