// kill -9 in the middle, and on.

#include <signal.h>

#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

TEST(Kill, CoordinatorInTheMiddleOfAnInstall) {
  auto lab = LabCluster::Up({.servers = 3, .workers = 1});
  ASSERT_TRUE(lab.ok()) << lab.status();
  ChildProcess upgrade = (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes"}, "upgrade.log");
  ASSERT_TRUE(Eventually([&] {
    return (*lab)->Log("upgrade.log").find("install v1.32.0") != std::string::npos &&
           (*lab)->Log("upgrade.log").find("Upgrade servers") != std::string::npos;
  }));
  upgrade.Signal(SIGKILL);
  EXPECT_EQ(upgrade.Wait(std::chrono::seconds(10)), 128 + SIGKILL);

  const nlohmann::json status = (*lab)->K3sagaJson({"status"});
  EXPECT_TRUE(status.value("run_by", nlohmann::json()).is_null()) << status;

  const auto resume = (*lab)->K3saga({"resume"});
  EXPECT_EQ(resume.exit_code, 0) << resume.out << resume.err;
  EXPECT_EQ(StateOf(**lab), "succeeded");
  for (const char* node : {"s1", "s2", "s3", "w1"}) {
    EXPECT_EQ((*lab)->RunningVersions()[node], kNew);
    EXPECT_EQ(InstallsIn((*lab)->Events())[node], 1) << node << " is installed exactly once";
    EXPECT_EQ(InstallerRuns(**lab, node), 1) << node;
  }
  EXPECT_TRUE(Cordoned(**lab).empty());
}

TEST(Kill, AgentAndItsOperationInTheMiddleOfAnInstall) {
  auto lab = LabCluster::Up({.servers = 3, .workers = 1});
  ASSERT_TRUE(lab.ok()) << lab.status();
  ChildProcess upgrade = (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes"}, "upgrade.log");
  // Whichever is being installed; one that is through before the kill arrives has a successor.
  std::string node;
  ASSERT_TRUE(Eventually([&] {
    const std::string log = (*lab)->Log("upgrade.log");
    const size_t at = log.rfind(": install v1.32.0");
    if (at == std::string::npos || at < 2) return false;
    node = log.substr(at - 2, 2);
    return (*lab)->Lab({"fault", "kill", node, "operation"}).exit_code == 0;
  }));
  EXPECT_EQ((*lab)->Lab({"fault", "kill", node, "agent"}).exit_code, 0);
  EXPECT_EQ(upgrade.Wait(std::chrono::seconds(180)), 0) << (*lab)->Log("upgrade.log");
  for (const char* each : {"s1", "s2", "s3", "w1"}) EXPECT_EQ((*lab)->RunningVersions()[each], kNew) << each;
  EXPECT_EQ(InstallsIn((*lab)->Events())[node], 1);
  EXPECT_TRUE(Cordoned(**lab).empty());
}

}  // namespace
}  // namespace k3saga::testing
