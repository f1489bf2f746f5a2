// The good case, as a user runs it.

#include <algorithm>

#include "tests/e2e/outcome.h"

namespace k3saga::testing {
namespace {

using Versions = std::map<std::string, std::string>;

TEST(GoodRollout, ThreeServersAndThreeWorkers) {
  auto lab = LabCluster::Up({.servers = 3, .workers = 3});
  ASSERT_TRUE(lab.ok()) << lab.status();
  const auto units = UnitsOf(**lab, {"s1", "s2", "s3", "w1", "w2", "w3"});
  ASSERT_EQ(units.size(), 12u);

  const auto plan = (*lab)->K3saga({"plan", "--to", kNew});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_EQ(plan.out.find("Note:"), std::string::npos) << plan.out;

  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes"});
  EXPECT_EQ(upgrade.exit_code, 0) << upgrade.out << upgrade.err;

  EXPECT_EQ((*lab)->RunningVersions(),
            (Versions{{"s1", kNew}, {"s2", kNew}, {"s3", kNew}, {"w1", kNew}, {"w2", kNew}, {"w3", kNew}}));
  EXPECT_EQ(StateOf(**lab), "succeeded");
  EXPECT_TRUE(Cordoned(**lab).empty());
  EXPECT_EQ(UnitsOf(**lab, {"s1", "s2", "s3", "w1", "w2", "w3"}), units) << "flags, tokens and URLs stay";
  const std::vector<v1::Event> events = (*lab)->Events();
  EXPECT_FALSE(Overlapped({events.begin(), std::find_if(events.begin(), events.end(),
                                                        [](const v1::Event& event) {
                                                          return event.step_entered().step() ==
                                                                 v1::STEP_UPGRADE_WORKERS;
                                                        })},
                          v1::OperationSpec::kInstall))
      << "servers go one at a time";
  EXPECT_TRUE(Overlapped(events, v1::OperationSpec::kInstall)) << "workers go in parallel";

  const nlohmann::json report = (*lab)->Report();
  EXPECT_GE(report.value("fewest_healthy_members", 0), 2) << report;
  EXPECT_LE(report.value("most_servers_down", 9), 1) << report;
  EXPECT_EQ(report.value("most_workers_down", 0), 2) << report;
  // Not a measurement: leadership was moved, so no write waited for an election (etcd's timeout is 1 s and
  // more).
  EXPECT_LT(report.value("longest_write_gap_ms", 1 << 20), 3000) << report;

  const auto again = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_NE(again.out.find("Nothing to do"), std::string::npos) << again.out;
  const auto down = (*lab)->K3saga({"upgrade", "--to", kOld, "--yes"});
  EXPECT_EQ(down.exit_code, 3) << down.out << down.err;
}

TEST(GoodRollout, OneServer) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 1});
  ASSERT_TRUE(lab.ok()) << lab.status();
  // A single server is away while it is upgraded: that is agreed to, or refused.
  EXPECT_EQ((*lab)->K3saga({"upgrade", "--to", kNew, "--yes"}).exit_code, 3);
  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"});
  EXPECT_EQ(upgrade.exit_code, 0) << upgrade.out << upgrade.err;
  EXPECT_EQ((*lab)->RunningVersions(), (Versions{{"s1", kNew}, {"w1", kNew}}));
  EXPECT_TRUE(Cordoned(**lab).empty());
}

// "Ready is not stable": a server of the old release crashes beside one of the new, again and again. It goes
// next.
TEST(GoodRollout, AServerThatNobodyTouchedCrashes) {
  auto lab = LabCluster::Up({.servers = 3, .workers = 0});
  ASSERT_TRUE(lab.ok()) << lab.status();
  const std::string crashes = LeaderOf(**lab);  // would go last
  ASSERT_EQ((*lab)->Lab({"fault", "node", crashes, "overtaken", "--ms", "1500"}).exit_code, 0);
  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes"});
  EXPECT_EQ(upgrade.exit_code, 0) << upgrade.out << upgrade.err;
  std::vector<std::string> order;
  for (const v1::Event& event : (*lab)->Events()) {
    if (event.issued().spec().has_install()) order.push_back(event.issued().node());
  }
  ASSERT_GE(order.size(), 3u);
  EXPECT_EQ(order[1], crashes) << upgrade.out;
  EXPECT_EQ((*lab)->RunningVersions(), (Versions{{"s1", kNew}, {"s2", kNew}, {"s3", kNew}}));
}

}  // namespace
}  // namespace k3saga::testing
