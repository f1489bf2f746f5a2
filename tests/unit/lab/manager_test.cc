#include "lab/systemd/manager.h"

#include "lab/base/files.h"
#include "lab/base/layout.h"
#include "tests/unit/lab/fake_service_host.h"

namespace k3saga::lab {
namespace {

using ::testing::HasSubstr;

constexpr char kUnit[] =
    "[Service]\nType=exec\nExecStart=/k3s agent\nRestart=always\n[Install]\nWantedBy=multi-user.target\n";

class ManagerTest : public ::testing::Test {
 protected:
  ManagerTest() { std::filesystem::create_directories(root_ / "etc/systemd/system"); }
  ~ManagerTest() override { std::filesystem::remove_all(root_); }

  CommandReply Systemctl(const std::vector<std::string>& arguments) { return Run("systemctl", arguments); }
  CommandReply Run(const std::string& program, const std::vector<std::string>& arguments) {
    CommandReply reply{-1, "", "never answered"};
    manager_.Run(program, arguments, [&reply](const CommandReply& given) { reply = given; });
    return reply;
  }
  void WriteUnit(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFile(root_ / "etc/systemd/system" / name, text).ok());
  }

  const std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("k3saga-manager-test-" + RandomHex(8));
  FakeServiceHost host_;
  int reboots_ = 0;
  Manager manager_{root_, root_ / "journal", host_, [this] { ++reboots_; }};
};

TEST_F(ManagerTest, AnUnknownUnitIsShownAsNotFound) {
  const CommandReply reply = Systemctl({"show", "k3s.service", "--property=LoadState,ActiveState,MainPID"});
  EXPECT_EQ(reply.code, 0);
  EXPECT_EQ(reply.out, "LoadState=not-found\nActiveState=inactive\nMainPID=0\n");
  EXPECT_EQ(Systemctl({"start", "k3s.service"}).code, 5);
}

TEST_F(ManagerTest, AChangedUnitCountsOnlyAfterAReload) {
  WriteUnit("k3s-agent.service", kUnit);
  EXPECT_EQ(Systemctl({"start", "k3s-agent"}).code, 0);
  WriteUnit("k3s-agent.service", "[Service]\nType=exec\nExecStart=/new agent\n");
  host_.spawned.clear();
  (void)Systemctl({"restart", "--no-block", "k3s-agent"});
  manager_.MainProcessExited("k3s-agent.service", ExitStatus(1));
  EXPECT_EQ(host_.spawned, std::vector<std::string>{"/k3s"});
  EXPECT_EQ(Systemctl({"daemon-reload"}).code, 0);
  (void)Systemctl({"restart", "--no-block", "k3s-agent"});
  manager_.MainProcessExited("k3s-agent.service", ExitStatus(1));
  EXPECT_EQ(host_.spawned.back(), "/new");
}

TEST_F(ManagerTest, EnablesByALinkAndStartsWhatIsEnabled) {
  WriteUnit("k3s-agent.service", kUnit);
  EXPECT_EQ(Systemctl({"is-enabled", "k3s-agent.service"}).out, "disabled\n");
  EXPECT_EQ(Systemctl({"enable", "k3s-agent.service"}).code, 0);
  EXPECT_EQ(Systemctl({"is-enabled", "k3s-agent.service"}).out, "enabled\n");
  EXPECT_TRUE(host_.spawned.empty()) << "enable does not start";
  manager_.StartEnabled();
  EXPECT_EQ(host_.spawned.size(), 1u);
  EXPECT_EQ(Systemctl({"disable", "k3s-agent.service"}).code, 0);
  EXPECT_EQ(Systemctl({"is-enabled", "k3s-agent.service"}).code, 1);
}

TEST_F(ManagerTest, ATransientUnitVanishesWhenItEnds) {
  const std::vector<std::string> run = {"--unit=k3saga-op-1",
                                        "--collect",
                                        "--quiet",
                                        "--service-type=exec",
                                        "--property=OOMScoreAdjust=-900",
                                        "--property=Environment=A=1",
                                        "--",
                                        "/agent",
                                        "operation",
                                        "--",
                                        "x"};
  EXPECT_EQ(Run("systemd-run", run).code, 0);
  EXPECT_EQ(manager_.Find("k3saga-op-1.service")->file().exec_start,
            (std::vector<std::string>{"/agent", "operation", "--", "x"}));
  const CommandReply again = Run("systemd-run", run);
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("already loaded"));
  manager_.MainProcessExited("k3saga-op-1.service", ExitStatus(86));
  EXPECT_THAT(Systemctl({"show", "k3saga-op-1.service", "--property=LoadState"}).out, HasSubstr("not-found"));
  EXPECT_EQ(Run("systemd-run", run).code, 0);
}

TEST_F(ManagerTest, TheJournalGivesTheLastLines) {
  ASSERT_TRUE(WriteFile(root_ / "journal/k3s.service.log", "one\ntwo\nthree\n").ok());
  EXPECT_EQ(Run("journalctl", {"--unit=k3s.service", "--lines=2", "--output=cat", "--no-pager"}).out,
            "two\nthree\n");
}

TEST_F(ManagerTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(Systemctl({"isolate", "rescue.target"}).code, 1);
  EXPECT_EQ(Systemctl({"show", "--all", "k3s"}).code, 1);
  EXPECT_EQ(Systemctl({"reboot"}).code, 0);
  EXPECT_EQ(reboots_, 1);
}

}  // namespace
}  // namespace k3saga::lab
