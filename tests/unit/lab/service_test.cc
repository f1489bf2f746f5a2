#include "lab/systemd/service.h"

#include <signal.h>

#include "tests/unit/lab/fake_service_host.h"

namespace k3saga::lab {
namespace {

UnitFile K3sUnit() {
  UnitFile unit;
  unit.type = UnitFile::Type::kNotify;
  unit.exec_start = {"/k3s", "server"};
  unit.restart = UnitFile::Restart::kAlways;
  unit.restart_ms = 5000;
  unit.start_timeout_ms = 0;
  unit.kill_group = false;
  return unit;
}

class ServiceTest : public ::testing::Test {
 protected:
  // A job that notes how it ended.
  JobDone Note() {
    return [this](const std::string& failure) { ended_.push_back(failure); };
  }
  std::string State() {
    auto properties = service_.Properties();
    return properties["ActiveState"] + "/" + properties["SubState"];
  }
  void Run() {
    service_.Start(Note());
    service_.NotifiedReady();
    ended_.clear();
  }

  FakeServiceHost host_;
  Service service_{"k3s.service", K3sUnit(), host_};
  std::vector<std::string> ended_;
};

TEST_F(ServiceTest, AStartOfTypeNotifyBlocksUntilReadyWithoutATimeout) {
  service_.Start(Note());
  EXPECT_EQ(State(), "activating/start");
  EXPECT_TRUE(ended_.empty());
  EXPECT_TRUE(host_.timers.empty()) << "TimeoutStartSec=0 waits for ever";
  service_.NotifiedReady();
  EXPECT_EQ(State(), "active/running");
  EXPECT_THAT(ended_, ::testing::ElementsAre(""));
}

TEST_F(ServiceTest, AStopOfK3sLeavesTheUnitFailedBecauseItExitsWith1) {
  Run();
  service_.Stop(Note());
  EXPECT_EQ(State(), "deactivating/stop-sigterm");
  ASSERT_EQ(host_.signals.size(), 1u);
  EXPECT_EQ(host_.signals[0].signal, SIGTERM);
  EXPECT_FALSE(host_.signals[0].group) << "KillMode=process";
  service_.MainProcessExited(ExitStatus(1));
  EXPECT_EQ(State(), "failed/failed");
  EXPECT_EQ(service_.Properties()["Result"], "exit-code");
  EXPECT_THAT(ended_, ::testing::ElementsAre("")) << "the stop itself succeeded";
}

TEST_F(ServiceTest, ARestartStopsThenStartsAndForgetsEarlierCrashes) {
  Run();
  service_.MainProcessExited(ExitStatus(255));
  EXPECT_EQ(State(), "activating/auto-restart");
  service_.Wake(host_.timers.back().token);
  service_.NotifiedReady();
  EXPECT_EQ(service_.Properties()["NRestarts"], "1");
  service_.Restart(Note());
  service_.MainProcessExited(ExitStatus(1));
  EXPECT_EQ(State(), "activating/start");
  EXPECT_TRUE(ended_.empty());
  service_.NotifiedReady();
  EXPECT_THAT(ended_, ::testing::ElementsAre(""));
  EXPECT_EQ(service_.Properties()["NRestarts"], "0");
  EXPECT_EQ(host_.spawned.size(), 3u);
}

TEST_F(ServiceTest, ACrashDuringTheStartFailsTheJobAndIsTriedAgain) {
  service_.Start(Note());
  service_.MainProcessExited(ExitStatus(1));
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_FALSE(ended_[0].empty());
  EXPECT_EQ(State(), "activating/auto-restart");
  EXPECT_EQ(host_.timers.back().millis, 5000);
}

TEST_F(ServiceTest, AStopDuringAutoRestartKeepsItDown) {
  Run();
  service_.MainProcessExited(KilledBy(SIGKILL));
  const uint64_t token = host_.timers.back().token;
  service_.Stop(Note());
  service_.Wake(token);
  EXPECT_EQ(State(), "inactive/dead");
  EXPECT_EQ(host_.spawned.size(), 1u);
}

TEST_F(ServiceTest, TypeExecIsActiveAtOnceAndFailsWhenTheProgramCannotRun) {
  UnitFile unit = K3sUnit();
  unit.type = UnitFile::Type::kExec;
  unit.restart = UnitFile::Restart::kNo;
  Service service("w.service", unit, host_);
  service.Start(Note());
  EXPECT_TRUE(service.Running());
  service.MainProcessExited(ExitStatus(0));
  EXPECT_EQ(service.Properties()["ActiveState"], "inactive");

  host_.spawn_error = absl::NotFoundError("no such file");
  ended_.clear();
  service.Start(Note());
  EXPECT_EQ(service.Properties()["ActiveState"], "failed");
  EXPECT_EQ(service.Properties()["ExecMainStatus"], "203");
  EXPECT_FALSE(ended_.at(0).empty());
}

TEST_F(ServiceTest, ResetFailedMakesItInactive) {
  Run();
  service_.Stop(Note());
  service_.MainProcessExited(ExitStatus(1));
  service_.ResetFailed();
  EXPECT_EQ(State(), "inactive/dead");
  EXPECT_EQ(service_.Properties()["Result"], "success");
}

TEST_F(ServiceTest, AStopThatHangsIsKilled) {
  UnitFile unit = K3sUnit();
  unit.stop_timeout_ms = 10;
  Service service("x.service", unit, host_);
  service.Start(Note());
  service.NotifiedReady();
  service.Stop(Note());
  service.Wake(host_.timers.back().token);
  EXPECT_EQ(host_.signals.back().signal, SIGKILL);
}

}  // namespace
}  // namespace k3saga::lab
