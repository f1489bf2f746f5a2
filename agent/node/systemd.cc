#include "agent/node/systemd.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <map>

#include "common/host/process.h"
#include "common/status_macros.h"

namespace k3saga::node {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShort{10'000};
constexpr milliseconds kLong{60'000};
constexpr char kShownProperties[] =
    "LoadState,ActiveState,SubState,MainPID,NRestarts,ExecMainStartTimestampMonotonic,FragmentPath,"
    "DropInPaths,"
    "Result,ExecMainStatus";

uint64_t Number(const std::string& text) {
  uint64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

UnitStatus ParseShow(const std::string& output) {
  std::map<std::string, std::string> values;
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    std::pair<std::string, std::string> pair = absl::StrSplit(line, absl::MaxSplits('=', 1));
    values.insert(std::move(pair));
  }
  UnitStatus status;
  status.load_state = values["LoadState"];
  status.active_state = values["ActiveState"];
  status.sub_state = values["SubState"];
  status.result = values["Result"];
  status.main_pid = static_cast<uint32_t>(Number(values["MainPID"]));
  status.restarts = static_cast<uint32_t>(Number(values["NRestarts"]));
  status.exec_main_status = static_cast<int>(Number(values["ExecMainStatus"]));
  status.exec_main_start_monotonic_us = Number(values["ExecMainStartTimestampMonotonic"]);
  status.fragment_path = values["FragmentPath"];
  status.drop_in_paths = absl::StrSplit(values["DropInPaths"], ' ', absl::SkipEmpty());
  return status;
}

// Units are named by this program or found by it on disk; an option or a path is neither.
absl::Status CheckUnitName(std::string_view unit) {
  if (unit.empty() || unit.front() == '-' || unit.find_first_of("/ \t\n") != std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("'", std::string(unit), "' is no name of a unit"));
  }
  return absl::OkStatus();
}

class ToolSystemd final : public Systemd {
 public:
  explicit ToolSystemd(const HostPaths& paths)
      : systemctl_(paths.systemctl), systemd_run_(paths.systemd_run), journalctl_(paths.journalctl) {}

  absl::StatusOr<UnitStatus> Show(std::string_view unit) override {
    K3SAGA_RETURN_IF_ERROR(CheckUnitName(unit));
    K3SAGA_ASSIGN_OR_RETURN(const std::string out,
                            RunForOutput(Tool({systemctl_, "show", std::string(unit),
                                               absl::StrCat("--property=", kShownProperties)})));
    UnitStatus status = ParseShow(out);
    if (status.load_state.empty()) {
      return absl::InternalError(
          absl::StrCat(systemctl_, " show ", std::string(unit), " said nothing about the unit"));
    }
    return status;
  }

  absl::Status Restart(std::string_view unit) override { return Control({"restart", "--no-block"}, unit); }
  absl::Status Start(std::string_view unit) override { return Control({"start", "--no-block"}, unit); }
  absl::Status Stop(std::string_view unit) override { return Control({"stop", "--no-block"}, unit); }
  absl::Status Enable(std::string_view unit) override { return Control({"enable"}, unit); }
  absl::Status Disable(std::string_view unit) override { return Control({"disable"}, unit); }
  absl::Status ResetFailed(std::string_view unit) override { return Control({"reset-failed"}, unit); }
  absl::Status DaemonReload() override {
    return RunForOutput(Tool({systemctl_, "daemon-reload"}, kLong)).status();
  }
  absl::Status Reboot() override { return RunForOutput(Tool({systemctl_, "reboot"}, kLong)).status(); }

  absl::StatusOr<std::string> IsEnabled(std::string_view unit) override {
    K3SAGA_RETURN_IF_ERROR(CheckUnitName(unit));
    // Its exit status says "enabled or not"; the word says what else.
    K3SAGA_ASSIGN_OR_RETURN(const ProcessResult result,
                            Run(Tool({systemctl_, "is-enabled", std::string(unit)})));
    const std::string word(absl::StripAsciiWhitespace(result.out));
    return word.empty() ? "not-found" : word;
  }

  absl::Status RunTransient(const TransientUnit& unit) override {
    K3SAGA_RETURN_IF_ERROR(CheckUnitName(unit.name));
    std::vector<std::string> argv = {systemd_run_, absl::StrCat("--unit=", unit.name), "--collect", "--quiet",
                                     "--service-type=exec"};
    for (const std::string& property : unit.properties) argv.push_back(absl::StrCat("--property=", property));
    argv.emplace_back("--");
    argv.insert(argv.end(), unit.argv.begin(), unit.argv.end());
    K3SAGA_ASSIGN_OR_RETURN(const ProcessResult result, Run(Tool(std::move(argv), kLong)));
    if (result.ok()) return absl::OkStatus();
    const std::string message = absl::StrCat(systemd_run_, " ", unit.name, ": ", result.Describe());
    if (absl::StrContains(result.err, "already loaded") || absl::StrContains(result.err, "already exists")) {
      return absl::AlreadyExistsError(message);
    }
    return absl::FailedPreconditionError(message);
  }

  absl::StatusOr<std::string> Journal(std::string_view unit, int lines) override {
    K3SAGA_RETURN_IF_ERROR(CheckUnitName(unit));
    return RunForOutput(Tool({journalctl_, absl::StrCat("--unit=", std::string(unit)),
                              absl::StrCat("--lines=", lines), "--output=cat", "--no-pager"}));
  }

 private:
  static Command Tool(std::vector<std::string> argv, milliseconds deadline = kShort) {
    return {.argv = std::move(argv), .environment = PlainEnvironment(), .deadline = deadline};
  }

  absl::Status Control(std::vector<std::string> verb, std::string_view unit) {
    K3SAGA_RETURN_IF_ERROR(CheckUnitName(unit));
    std::vector<std::string> argv = {systemctl_};
    argv.insert(argv.end(), verb.begin(), verb.end());
    argv.emplace_back(unit);
    K3SAGA_ASSIGN_OR_RETURN(const ProcessResult result, Run(Tool(std::move(argv), kLong)));
    if (result.ok()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(systemctl_, " ", verb[0], " ", std::string(unit), ": ", result.Describe()));
  }

  const std::string systemctl_;
  const std::string systemd_run_;
  const std::string journalctl_;
};

}  // namespace

std::unique_ptr<Systemd> MakeSystemd(const HostPaths& paths) { return std::make_unique<ToolSystemd>(paths); }

}  // namespace k3saga::node
