#include "agent/health/node_k3s.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string_view>

#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::health {
namespace {

constexpr std::chrono::milliseconds kFresh{60'000};
constexpr int kLastLines = 20;
constexpr size_t kLongestWords = 300;  // they stand in a table's cell

// The last line that complains, as k3s and Go's runtime do; where none does, the last one.
std::string Telling(std::string_view lines) {
  std::string_view telling;
  bool complains = false;
  for (std::string_view rest = lines; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const bool this_one = line.find("level=fatal") != line.npos || line.find("level=error") != line.npos ||
                          line.starts_with("panic:");
    if (line.find_first_not_of(" \t\r") == line.npos || (complains && !this_one)) continue;
    telling = line;
    complains = this_one;
  }
  return std::string(absl::StripAsciiWhitespace(std::string(telling.substr(0, kLongestWords))));
}

}  // namespace

std::shared_ptr<const node::Installation> NodeK3s::Installation() {
  {
    const std::lock_guard lock(mutex_);
    if (installation_ != nullptr && clock_.Steady() - read_at_ < kFresh) {
      return installation_;
    }
  }
  auto fresh = std::make_shared<const node::Installation>(distribution_.Read(paths_, systemd_, processes_));
  const std::lock_guard lock(mutex_);
  installation_ = fresh;
  read_at_ = clock_.Steady();
  return fresh;
}

void NodeK3s::Forget() {
  const std::lock_guard lock(mutex_);
  installation_ = nullptr;
}

LocalRole NodeK3s::Role() {
  const auto installation = Installation();
  return {.runs_apiserver = installation->runs_apiserver,
          .runs_etcd = installation->runs_etcd,
          .runs_kubelet = installation->runs_kubelet};
}

absl::StatusOr<MainProcess> NodeK3s::Main() {
  MainProcess known;
  {
    const std::lock_guard lock(mutex_);
    known = main_;
  }
  if (known.pid != 0) {
    const auto ticks = processes_.StartTicks(known.pid);
    if (ticks.ok() && *ticks == known.start_ticks) {
      return known;
    }
    Forget();
  }
  const std::string unit = Installation()->unit;
  MainProcess now;
  if (!unit.empty()) {
    K3SAGA_ASSIGN_OR_RETURN(const node::UnitStatus status, systemd_.Show(unit));
    const auto ticks = status.main_pid == 0 ? absl::StatusOr<uint64_t>(absl::NotFoundError("not running"))
                                            : processes_.StartTicks(status.main_pid);
    if (ticks.ok()) {  // otherwise it ended meanwhile
      now = {.pid = status.main_pid, .start_ticks = *ticks};
    }
  }
  const std::lock_guard lock(mutex_);
  main_ = now;
  return now;
}

absl::Status NodeK3s::UnitActive() {
  const std::string unit = Installation()->unit;
  if (unit.empty()) {
    return ReasonError(MakeReason(v1::UNIT_NOT_ACTIVE, "", "this node has no k3s unit"));
  }
  K3SAGA_ASSIGN_OR_RETURN(const node::UnitStatus status, systemd_.Show(unit));
  return status.active() ? absl::OkStatus()
                         : ReasonError(MakeReason(v1::UNIT_NOT_ACTIVE, unit, status.Describe()));
}

std::string NodeK3s::RunningVersion() {
  const auto main = Main();
  if (!main.ok() || main->pid == 0) {
    return "";
  }
  const auto process = processes_.Inspect(main->pid);
  return process.ok() && process->start_ticks == main->start_ticks ? process->version : "";
}

std::string NodeK3s::LastWords() {
  const std::string unit = Installation()->unit;
  if (unit.empty()) {
    return "";
  }
  const auto lines = systemd_.Journal(unit, kLastLines);
  return lines.ok() ? Telling(*lines) : "";
}

}  // namespace k3saga::health
