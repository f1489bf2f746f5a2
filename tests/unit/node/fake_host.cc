#include "tests/unit/node/fake_host.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace k3saga::node {
namespace {

HostPaths PathsIn(const std::string& dir) {
  HostPaths paths;
  paths.root = dir + "/root";
  paths.systemctl = dir + "/tools/systemctl";
  paths.systemd_run = dir + "/tools/systemd-run";
  paths.journalctl = dir + "/tools/journalctl";
  return paths;
}

// Asks no other program: it runs some hundred times in a test.
constexpr char kSystemctl[] = R"(#!/bin/sh
here=${0%/*}
echo "systemctl $*" >>"$here/calls"
unit=
for word in "$@"; do
  case "$word" in
    -*) ;;
    *) unit=${word##*/} ;;
  esac
done
case "$unit" in *.service) ;; *) unit="$unit.service" ;; esac
case "$1" in
  show)
    if [ -f "$here/status/$unit" ]; then
      while IFS= read -r line; do echo "$line"; done <"$here/status/$unit"
    else
      echo LoadState=not-found
    fi ;;
  is-enabled)
    if [ -f "$here/enabled/$unit" ]; then echo enabled; else echo disabled; exit 1; fi ;;
  enable)
    [ -d "$here/enabled" ] || mkdir -p "$here/enabled"
    : >"$here/enabled/$unit" ;;
  disable) rm -f "$here/enabled/$unit" ;;
  reset-failed) echo "Failed to reset failed state of unit $unit: Unit $unit not loaded." >&2; exit 1 ;;
esac
)";

constexpr char kSystemdRun[] = R"(#!/bin/sh
echo "systemd-run $*" >>"$(dirname "$0")/calls"
case "$*" in *--unit=twice*) echo "Failed to start transient service unit: Unit twice.service already exists." >&2; exit 1 ;; esac
)";

constexpr char kJournalctl[] = R"(#!/bin/sh
echo "journalctl $*" >>"$(dirname "$0")/calls"
echo "leaderelection lost"
)";

}  // namespace

FakeHost::FakeHost(Systemctl systemctl) : paths_(PathsIn(dir_.path())), processes_(paths_) {
  if (systemctl == Systemctl::kDirect) {
    auto direct = std::make_unique<DirectSystemd>(dir_ / "tools");
    direct_ = direct.get();
    systemd_ = std::move(direct);
  } else {
    systemd_ = MakeSystemd(paths_);
  }
  dir_.Write("tools/systemctl", kSystemctl, 0755);
  dir_.Write("tools/systemd-run", kSystemdRun, 0755);
  dir_.Write("tools/journalctl", kJournalctl, 0755);
  EXPECT_TRUE(MakeDirectories(Path("etc/systemd/system"), 0755).ok());
  EXPECT_TRUE(MakeDirectories(state().state).ok());
}

FakeHost::~FakeHost() {
  for (const pid_t pid : children_) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
}

std::string FakeHost::Fill(std::string_view text) const {
  return absl::StrReplaceAll(absl::string_view(text.data(), text.size()), {{"@ROOT@", paths_.root}});
}

std::string FakeHost::Write(std::string_view below_root, std::string_view text, mode_t mode) {
  return dir_.Write(absl::StrCat("root/", std::string(below_root)), Fill(text), mode);
}

std::string FakeHost::Read(std::string_view below_root) const {
  auto text = ReadFile(Path(below_root));
  return text.ok() ? *text : std::string(text.status().message());
}

std::string FakeHost::WriteBinary(std::string_view below_root, std::string_view version) {
  auto program = ReadFile(FAKE_K3S);
  EXPECT_TRUE(program.ok()) << program.status();
  return dir_.Write(absl::StrCat("root/", std::string(below_root)),
                    absl::StrCat(*program, "\n#K3S ", std::string(version), "\n"), 0755);
}

uint32_t FakeHost::StartProcess(const std::string& binary) {
  pid_t pid = 0;
  std::string program = binary;
  std::string command = "server";
  char* argv[] = {program.data(), command.data(), nullptr};
  char* environment[] = {nullptr};
  EXPECT_EQ(posix_spawn(&pid, binary.c_str(), nullptr, nullptr, argv, environment), 0);
  children_.push_back(pid);
  return static_cast<uint32_t>(pid);
}

void FakeHost::SetStatus(std::string_view unit, std::string_view active_state, uint32_t main_pid) {
  dir_.Write(absl::StrCat("tools/status/", std::string(unit)),
             absl::StrCat("LoadState=loaded\nActiveState=", std::string(active_state), "\nSubState=",
                          active_state == "active" ? "running" : "dead", "\nMainPID=", main_pid,
                          "\nNRestarts=2\nExecMainStatus=1\nResult=exit-code\nFragmentPath=/x/k3s.service\n"
                          "DropInPaths=/x/a.conf /x/b.conf\nExecMainStartTimestampMonotonic=77\n"));
  if (direct_ == nullptr) return;
  UnitStatus status;
  status.load_state = "loaded";
  status.active_state = std::string(active_state);
  status.main_pid = main_pid;
  direct_->statuses[std::string(unit)] = status;
}

void FakeHost::SetEnabled(std::string_view unit, bool enabled) {
  const std::string file = absl::StrCat("tools/enabled/", std::string(unit));
  if (enabled) {
    dir_.Write(file, "");
  } else {
    EXPECT_TRUE(RemoveFileDurably(dir_ / file).ok());
  }
}

std::vector<std::string> FakeHost::Calls() const {
  auto text = ReadFile(Tool("calls"));
  if (!text.ok()) return {};
  return absl::StrSplit(*text, '\n', absl::SkipEmpty());
}

std::string FakeHost::StandInInstaller(bool old) {
  // For a check by hand against a real install.sh of any age (its systemctl and /etc/default replaced by
  // $SYSTEMCTL and $ROOT/etc/default).
  const char* other = std::getenv("K3SAGA_TEST_INSTALLER");
  auto script = ReadFile(other != nullptr ? other : STAND_IN_INSTALLER);
  EXPECT_TRUE(script.ok()) << script.status();
  const std::string head = absl::StrCat("#!/bin/sh\nSYSTEMCTL=", Tool("systemctl"), "\nROOT=", paths_.root,
                                        "\nOLD=", old ? "true" : "false", "\n");
  return dir_.Write(old ? "tools/install-old.sh" : "tools/install.sh", head + *script, 0755);
}

}  // namespace k3saga::node
