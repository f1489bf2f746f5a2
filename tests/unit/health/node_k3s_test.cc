#include "agent/health/node_k3s.h"

#include "agent/node/k3s.h"
#include "common/reason.h"
#include "tests/support/child_process.h"
#include "tests/support/fake_time.h"
#include "tests/unit/common/temp_dir.h"

namespace k3saga::health {
namespace {

// systemd that knows one unit.
class FakeSystemd final : public node::Systemd {
 public:
  absl::StatusOr<node::UnitStatus> Show(std::string_view) override {
    ++shown;
    return status;
  }
  absl::Status Restart(std::string_view) override { return absl::OkStatus(); }
  absl::Status Start(std::string_view) override { return absl::OkStatus(); }
  absl::Status Stop(std::string_view) override { return absl::OkStatus(); }
  absl::Status DaemonReload() override { return absl::OkStatus(); }
  absl::Status Enable(std::string_view) override { return absl::OkStatus(); }
  absl::Status Disable(std::string_view) override { return absl::OkStatus(); }
  absl::StatusOr<std::string> IsEnabled(std::string_view) override { return "enabled"; }
  absl::Status ResetFailed(std::string_view) override { return absl::OkStatus(); }
  absl::Status Reboot() override { return absl::OkStatus(); }
  absl::Status RunTransient(const node::TransientUnit&) override { return absl::OkStatus(); }
  absl::StatusOr<std::string> Journal(std::string_view, int) override { return journal; }

  std::string journal = "one\ntwo\n";

  node::UnitStatus status;
  int shown = 0;
};

class NodeK3sTest : public ::testing::Test {
 protected:
  NodeK3sTest() {
    paths_.root = root_.path();
    const std::string unit = root_.Write(
        "etc/systemd/system/k3s.service",
        "[Service]\nType=notify\nExecStart=" + (root_ / "usr/local/bin/k3s") + " server --cluster-init\n");
    systemd_.status.load_state = "loaded";
    systemd_.status.active_state = "active";
    systemd_.status.sub_state = "running";
    systemd_.status.fragment_path = unit;
    systemd_.status.main_pid = static_cast<uint32_t>(process_.pid());
  }

  TempDir root_;
  // Never this process: whose executable is k3s gets run with --version.
  testing::ChildProcess process_{{"/bin/sleep", "600"}, root_ / "sleep.log"};
  node::HostPaths paths_;
  FakeSystemd systemd_;
  testing::FakeTime time_;
};

TEST_F(NodeK3sTest, AsksSystemdOnlyWhenTheMainProcessIsGone) {
  node::ProcessInspector processes(paths_);
  NodeK3s k3s(node::K3s(), paths_, systemd_, processes, time_);
  const auto main = k3s.Main();
  ASSERT_TRUE(main.ok()) << main.status();
  EXPECT_EQ(main->pid, static_cast<uint32_t>(process_.pid()));
  EXPECT_NE(main->start_ticks, 0u);
  EXPECT_TRUE(k3s.Role().runs_apiserver);
  EXPECT_TRUE(k3s.Role().runs_etcd);
  const int shown = systemd_.shown;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(*k3s.Main(), *main);
  }
  EXPECT_EQ(systemd_.shown, shown);
  EXPECT_TRUE(k3s.UnitActive().ok());
  EXPECT_EQ(k3s.LastWords(), "two");
  systemd_.journal = "level=info msg=a\nlevel=fatal msg=\"no token\"\nMain process exited, status=1\n \n";
  EXPECT_EQ(k3s.LastWords(), "level=fatal msg=\"no token\"");
}

TEST_F(NodeK3sTest, AUnitThatDoesNotRunHasNoMainProcess) {
  systemd_.status.active_state = "failed";
  systemd_.status.sub_state = "failed";
  systemd_.status.main_pid = 0;
  node::ProcessInspector processes(paths_);
  NodeK3s k3s(node::K3s(), paths_, systemd_, processes, time_);
  EXPECT_EQ(k3s.Main()->pid, 0u);
  EXPECT_EQ(k3s.RunningVersion(), "");
  EXPECT_EQ(ReasonOf(k3s.UnitActive()).code(), v1::UNIT_NOT_ACTIVE);
}

TEST_F(NodeK3sTest, ReadsTheInstallationAgainWhenItIsOldOrForgotten) {
  node::ProcessInspector processes(paths_);
  NodeK3s k3s(node::K3s(), paths_, systemd_, processes, time_);
  const auto first = k3s.Installation();
  EXPECT_EQ(first, k3s.Installation());
  time_.Advance(std::chrono::seconds(61));
  const auto second = k3s.Installation();
  EXPECT_NE(first, second);
  k3s.Forget();
  EXPECT_NE(second, k3s.Installation());
}

}  // namespace
}  // namespace k3saga::health
