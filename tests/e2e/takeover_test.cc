// Two machines and one cluster: who goes on, and who is refused.

#include <gmock/gmock.h>
#include <signal.h>

#include "common/host/files.h"
#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::chrono::seconds kLong{240};

// Until the first server is being installed; "" when that never happens.
std::string FirstInstalled(const LabCluster& lab, const std::string& log) {
  std::string node;
  const bool begun = Eventually(
      [&] {
        const std::string text = lab.Log(log);
        const size_t at =
            text.find(": install v1.32.0", std::min(text.size(), text.find("== Upgrade servers")));
        if (at == std::string::npos || at < 2) return false;
        node = text.substr(at - 2, 2);
        return true;
      },
      kLong);
  return begun ? node : "";
}

void ExpectUpgradedOnce(LabCluster& lab, const std::vector<std::string>& nodes) {
  const auto versions = lab.RunningVersions();
  for (const std::string& node : nodes) {
    EXPECT_EQ(versions.at(node), kNew) << node;
    EXPECT_EQ(InstallerRuns(lab, node), 1) << node << " is installed exactly once";
  }
  EXPECT_TRUE(Cordoned(lab).empty());
}

TEST(Takeover, AdoptsWhatAMachineThatIsGoneHasBegun) {
  auto lab = LabCluster::Up({.servers = 3, .workers = 1, .up_arguments = {"--settle-time", "1s"}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  ChildProcess upgrade = (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes"}, "upgrade.log");
  ASSERT_NE(FirstInstalled(**lab, "upgrade.log"), "");
  upgrade.Kill();
  ASSERT_TRUE(RemoveTree((*lab)->Path("state")).ok());

  (*lab)->UseState("state2");
  const auto begun_anew = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes"});
  EXPECT_EQ(begun_anew.exit_code, 3);
  EXPECT_THAT(begun_anew.out,
              AllOf(HasSubstr("holds the cluster"), HasSubstr("since 20"), HasSubstr("adopt")));
  const auto unasked = (*lab)->K3saga({"adopt"});
  EXPECT_EQ(unasked.exit_code, 3) << "nobody was asked";
  EXPECT_THAT(unasked.out, AllOf(HasSubstr("is held by"), HasSubstr("since 20"), HasSubstr("--take-over")));

  const auto adopt = (*lab)->K3saga({"adopt", "--take-over"});
  EXPECT_EQ(adopt.exit_code, 0) << adopt.out << adopt.err;
  EXPECT_THAT(adopt.out, HasSubstr("adopted by"));
  EXPECT_EQ(StateOf(**lab), "succeeded");
  ExpectUpgradedOnce(**lab, {"s1", "s2", "s3", "w1"});
  EXPECT_EQ((*lab)->K3saga({"adopt", "--take-over"}).exit_code, 3) << "there is nothing left to adopt";
}

TEST(Takeover, TheFirstIsRefusedEverywhereFromThenOn) {
  auto lab = LabCluster::Up({.servers = 3, .workers = 1, .up_arguments = {"--settle-time", "1s"}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  ChildProcess first = (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes"}, "upgrade.log");
  ASSERT_NE(FirstInstalled(**lab, "upgrade.log"), "");

  (*lab)->UseState("state2");
  const auto adopt = (*lab)->K3saga({"adopt", "--take-over"});
  EXPECT_EQ(adopt.exit_code, 0) << adopt.out << adopt.err;
  ExpectUpgradedOnce(**lab, {"s1", "s2", "s3", "w1"});

  EXPECT_EQ(first.Wait(kLong), 1) << (*lab)->Log("upgrade.log");
  EXPECT_THAT((*lab)->Log("upgrade.log"), HasSubstr("another coordinator took over"));
  (*lab)->UseState("state");
  EXPECT_EQ(StateOf(**lab), "stopped");
}

// Three processes, two journals: one that is behind is not gone on with, unless it is told to take over.
TEST(Takeover, AJournalThatIsBehindHasToTakeOver) {
  auto lab = LabCluster::Up({.servers = 3, .workers = 1, .up_arguments = {"--settle-time", "1s"}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  ChildProcess first = (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes"}, "upgrade.log");
  ASSERT_NE(FirstInstalled(**lab, "upgrade.log"), "");
  first.Kill();

  (*lab)->UseState("state2");
  ChildProcess second = (*lab)->StartK3saga({"adopt", "--take-over"}, "adopt.log");
  ASSERT_TRUE(Eventually(
      [&] {
        return (*lab)->Log("adopt.log").find(": await") != std::string::npos ||
               (*lab)->Log("adopt.log").find("UPGRADED") != std::string::npos ||
               (*lab)->Log("adopt.log").find("upgraded") != std::string::npos;
      },
      kLong))
      << (*lab)->Log("adopt.log");
  second.Kill();

  (*lab)->UseState("state");
  const auto behind = (*lab)->K3saga({"resume"});
  EXPECT_EQ(behind.exit_code, 3) << behind.out << behind.err;
  EXPECT_THAT(behind.out, AllOf(HasSubstr("was taken over by"), HasSubstr("--take-over")));
  const auto again = (*lab)->K3saga({"resume", "--take-over"});
  EXPECT_EQ(again.exit_code, 0) << again.out << again.err;
  ExpectUpgradedOnce(**lab, {"s1", "s2", "s3", "w1"});

  (*lab)->UseState("state2");
  const auto ended = (*lab)->K3saga({"resume"});
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_THAT(ended.out, HasSubstr("was taken over, and ended, by"));
  EXPECT_EQ((*lab)->K3saga({"abort", "--yes"}).exit_code, 1);
  EXPECT_EQ((*lab)->K3saga({"upgrade", "--to", kNew, "--yes"}).exit_code, 0)
      << "nothing to do, and nothing held";
}

}  // namespace
}  // namespace k3saga::testing
