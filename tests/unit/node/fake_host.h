#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/node/host_paths.h"
#include "agent/node/k3s.h"
#include "agent/node/process_check.h"
#include "agent/node/systemd.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/node/direct_systemd.h"

namespace k3saga::node {

// A machine in a folder: a root, a systemctl that knows what it is told, and binaries that say which k3s they
// are. In all texts "@ROOT@" stands for the root's path.
class FakeHost {
 public:
  // How systemd is asked: as on a real node, through systemctl (a script); or directly, which is faster.
  enum class Systemctl { kScript, kDirect };
  explicit FakeHost(Systemctl systemctl = Systemctl::kScript);
  ~FakeHost();

  std::string Path(std::string_view below_root) const { return JoinPath(paths_.root, below_root); }
  std::string Fill(std::string_view text) const;  // @ROOT@
  std::string Write(std::string_view below_root, std::string_view text, mode_t mode = 0644);
  std::string Read(std::string_view below_root) const;

  // A k3s binary of that version.
  std::string WriteBinary(std::string_view below_root, std::string_view version);
  // Runs it as `PATH server`; ends with the host.
  uint32_t StartProcess(const std::string& binary);

  // What systemctl says about a unit from now on.
  void SetStatus(std::string_view unit, std::string_view active_state, uint32_t main_pid = 0);
  void SetEnabled(std::string_view unit, bool enabled);
  // What was asked of systemctl, systemd-run and journalctl so far, one line a call.
  std::vector<std::string> Calls() const;

  // This project's stand-in for install.sh; `old`: as it was before 1.24 or so.
  std::string StandInInstaller(bool old = false);

  Installation Read() { return K3s().Read(paths_, *systemd_, processes_); }
  const HostPaths& paths() const { return paths_; }
  StatePaths state() const { return {dir_ / "state"}; }
  Systemd& systemd() { return *systemd_; }
  ProcessInspector& processes() { return processes_; }
  std::string Tool(std::string_view name) const {
    return JoinPath(dir_.path(), std::string("tools/") + std::string(name));
  }

 private:
  TempDir dir_;
  HostPaths paths_;
  std::unique_ptr<Systemd> systemd_;
  DirectSystemd* direct_ = nullptr;  // systemd_, where it is one
  ProcessInspector processes_;
  std::vector<pid_t> children_;
};

}  // namespace k3saga::node
