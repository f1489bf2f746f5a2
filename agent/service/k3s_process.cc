#include "agent/service/k3s_process.h"

#include <absl/strings/str_cat.h>

#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::service {

using operations::EffectContext;

namespace {

constexpr std::chrono::milliseconds kBetweenLooks{100};

}  // namespace

absl::Status K3sProcess::TimedOut(const std::string& unit, const char* what) const {
  return ReasonError(MakeReason(v1::TIMED_OUT, parts_.config.node, absl::StrCat(unit, ": ", what)),
                     absl::StatusCode::kDeadlineExceeded);
}

absl::StatusOr<std::string> K3sProcess::Main() {
  K3SAGA_ASSIGN_OR_RETURN(const health::MainProcess main, parts_.local.Main());
  return absl::StrCat(main.pid, ":", main.start_ticks);
}

absl::StatusOr<bool> K3sProcess::Replaced(const std::string& binary, const std::string& before) {
  K3SAGA_ASSIGN_OR_RETURN(const health::MainProcess main, parts_.local.Main());
  if (main.pid == 0 || absl::StrCat(main.pid, ":", main.start_ticks) == before) return false;
  const auto process = parts_.processes.Inspect(main.pid);
  return process.ok() && parts_.processes.IsRunning(*process, binary);
}

absl::Status K3sProcess::Replace(const std::string& unit, const std::string& binary,
                                 const std::string& before, EffectContext& context) {
  K3SAGA_ASSIGN_OR_RETURN(const bool replaced, Replaced(binary, before));
  if (replaced) return absl::OkStatus();
  K3SAGA_ASSIGN_OR_RETURN(const std::string now, Main());
  const auto status = parts_.systemd->Show(unit);
  // Too many failed starts, and systemd would refuse one more.
  if (status.ok() && status->active_state == "failed") (void)parts_.systemd->ResetFailed(unit);
  K3SAGA_RETURN_IF_ERROR(parts_.systemd->Restart(unit));
  // Queued only: done once the old process is gone. What comes after it is for the verification to judge.
  for (;;) {
    const auto process = Main();
    if (now == kNone || (process.ok() && *process != now)) return absl::OkStatus();
    if (!context.Wait(kBetweenLooks)) return TimedOut(unit, "the old process did not end");
  }
}

absl::Status K3sProcess::Stop(const std::string& unit, EffectContext& context) {
  for (bool asked = false;; asked = true) {
    K3SAGA_ASSIGN_OR_RETURN(const node::UnitStatus status, parts_.systemd->Show(unit));
    const bool still = status.active_state == "inactive" || status.active_state == "failed";
    if (still && status.main_pid == 0) return absl::OkStatus();
    if (!asked) K3SAGA_RETURN_IF_ERROR(parts_.systemd->Stop(unit));
    if (!context.Wait(kBetweenLooks)) return TimedOut(unit, "it did not stop");
  }
}

absl::Status K3sProcess::Start(const std::string& unit) {
  K3SAGA_ASSIGN_OR_RETURN(const node::UnitStatus status, parts_.systemd->Show(unit));
  if (status.main_pid != 0) return absl::OkStatus();
  if (status.active_state == "failed") (void)parts_.systemd->ResetFailed(unit);
  return parts_.systemd->Start(unit);
}

}  // namespace k3saga::service
