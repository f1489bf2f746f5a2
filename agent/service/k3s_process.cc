#include "agent/service/k3s_process.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "common/host/log.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::service {

using operations::EffectContext;

namespace {

constexpr std::chrono::milliseconds kBetweenLooks{100};
constexpr std::chrono::milliseconds kLongestLook{2'000};
constexpr std::chrono::milliseconds kLongestGiveBack{4'000};
// k3s starts its control loops at most a second after its API is ready, and each server asks for a free Lease
// every 2 to 4.4 s: given back in the moment of readiness, it is the restarted server that finds it.
constexpr std::chrono::milliseconds kUntilReady{50};
constexpr std::chrono::milliseconds kQuickLook{500};
constexpr std::chrono::milliseconds kOwnChance{8'000};  // then whoever is there

}  // namespace

// Nothing where it cannot be told for sure: control loops are led under the host's name, and only that of a
// Node is one of its own in the cluster.
kube::Leadership K3sProcess::Leads() {
  const node::Installation installation = parts_.ReadK3s();
  const std::string host = kube::HostOfLeaders();
  if (!installation.runs_apiserver || installation.node_name != absl::AsciiStrToLower(host)) return {};
  auto leadership = parts_.kube->LeadershipOf(host, {kLongestLook, {}});
  return leadership.ok() ? *std::move(leadership) : kube::Leadership();
}

void K3sProcess::GiveBackInTime(kube::Leadership leadership) {
  if (leadership.held.empty()) return;
  giving_back_ = std::jthread([this, leadership = std::move(leadership)](const std::stop_token& stop) {
    const std::chrono::milliseconds end = parts_.clock.Steady() + kOwnChance;
    while (!parts_.kube->Ready(kQuickLook).ok() && parts_.clock.Steady() < end) {
      if (!parts_.pauser.Pause(kUntilReady, stop)) break;
    }
    GiveBack(leadership);
  });
}

void K3sProcess::GiveBack(const kube::Leadership& leadership) {
  const absl::Status given = parts_.kube->GiveBackLeadership(leadership, {kLongestGiveBack, {}});
  const std::string loops =
      absl::StrJoin(leadership.held, ", ",
                    [](std::string* out, const kube::Leadership::Held& held) { out->append(held.lease); });
  if (given.ok()) {
    LogInfo(absl::StrCat("gave back ", loops));
  } else {
    LogWarning(absl::StrCat(loops, " not given back, and free in some seconds: ", given.ToString()));
  }
}

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
  const kube::Leadership leadership = now == kNone ? kube::Leadership() : Leads();
  K3SAGA_RETURN_IF_ERROR(parts_.systemd->Restart(unit));
  // Queued only: done once the old process is gone. What comes after it is for the verification to judge.
  for (;;) {
    const auto process = Main();
    if (now == kNone || (process.ok() && *process != now)) {
      GiveBackInTime(leadership);
      return absl::OkStatus();
    }
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
