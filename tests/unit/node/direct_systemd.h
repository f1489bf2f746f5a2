#pragma once

#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "agent/node/systemd.h"
#include "common/host/files.h"

namespace k3saga::node {

// FakeHost's systemd without a process for each question: the same files, the same log of calls. For tests
// that are many, and not about how systemd is asked.
class DirectSystemd final : public Systemd {
 public:
  explicit DirectSystemd(std::string tools) : tools_(std::move(tools)) {}

  std::map<std::string, UnitStatus, std::less<>> statuses;  // by unit

  absl::StatusOr<UnitStatus> Show(std::string_view unit) override {
    const auto known = statuses.find(unit);
    if (known != statuses.end()) return known->second;
    UnitStatus unknown;
    unknown.load_state = "not-found";
    return unknown;
  }
  absl::Status Restart(std::string_view unit) override { return Log("restart", unit); }
  absl::Status Start(std::string_view unit) override { return Log("start", unit); }
  absl::Status Stop(std::string_view unit) override { return Log("stop", unit); }
  absl::Status DaemonReload() override { return Log("daemon-reload", ""); }
  absl::Status Enable(std::string_view unit) override {
    absl::Status made = MakeDirectories(JoinPath(tools_, "enabled"), 0755);
    made.Update(WriteFileDurably(EnabledFile(unit), ""));
    made.Update(Log("enable", unit));
    return made;
  }
  absl::Status Disable(std::string_view unit) override {
    absl::Status removed = RemoveFileDurably(EnabledFile(unit));
    removed.Update(Log("disable", unit));
    return removed;
  }
  absl::StatusOr<std::string> IsEnabled(std::string_view unit) override {
    return std::string(Exists(EnabledFile(unit)) ? "enabled" : "disabled");
  }
  absl::Status ResetFailed(std::string_view unit) override { return Log("reset-failed", unit); }
  absl::Status Reboot() override { return Log("reboot", ""); }
  absl::Status RunTransient(const TransientUnit& unit) override { return Log("run", unit.name); }
  absl::StatusOr<std::string> Journal(std::string_view, int) override { return std::string(); }

 private:
  std::string EnabledFile(std::string_view unit) const { return JoinPath(JoinPath(tools_, "enabled"), unit); }
  absl::Status Log(std::string_view what, std::string_view unit) {
    std::ofstream(JoinPath(tools_, "calls"), std::ios::app) << "systemctl " << what << " " << unit << "\n";
    return absl::OkStatus();
  }

  const std::string tools_;
};

}  // namespace k3saga::node
