#include "coordinator/view/reports.h"

#include "common/reason.h"

namespace k3saga::view {
namespace {

std::vector<NodeAnswer> Answers() {
  v1::NodeFacts s1;
  s1.set_name("s1");
  s1.set_agent_version("0.1.0");
  s1.mutable_k3s()->set_distribution("k3s");
  s1.mutable_k3s()->set_role(v1::ROLE_SERVER);
  s1.mutable_k3s()->set_unit("k3s.service");
  s1.mutable_k3s()->set_active_state("active/running");
  s1.mutable_k3s()->set_binary("/usr/local/bin/k3s");
  s1.mutable_k3s()->set_binary_version("v1.32.0+k3s1");
  s1.mutable_k3s()->set_running_version("v1.31.4+k3s1");
  s1.mutable_k3s()->set_node_name("s1");
  v1::Setting& token = *s1.mutable_k3s()->add_settings();
  token.set_key("K3S_TOKEN");
  token.set_value("***");
  token.set_source("/etc/systemd/system/k3s.service.env");
  s1.mutable_etcd()->set_member_id(7);
  s1.mutable_etcd()->set_leader_id(7);
  for (const char* name : {"s1", "w1"}) {
    v1::KubeNode& node = *s1.add_nodes();
    node.set_name(name);
    node.set_ready(true);
    node.set_unschedulable(std::string(name) == "w1");
  }
  return {{"s1", v1::ROLE_SERVER, "ipv4:10.0.0.11:7440", s1},
          {"w1", v1::ROLE_WORKER, "ipv4:10.0.0.21:7440", absl::UnavailableError("connection refused")}};
}

TEST(NodesPage, ShowsWhatRunsAndWhoIsMissing) {
  EXPECT_EQ(PaintAll(NodesPage(Answers()), {}),
            "NODE  ROLE    VERSION       STATE            ETCD    AGENT\n"
            "s1    server  v1.31.4+k3s1  Ready            leader  0.1.0  file on disk is v1.32.0+k3s1\n"
            "w1    worker  unknown       Ready, cordoned  -       -      connection refused\n");
}

TEST(NodePage, ShowsWhereEverySettingWasRead) {
  const std::string page = PaintAll(NodePage(Answers()[0]), {});
  EXPECT_THAT(page, testing::HasSubstr("  K3S_TOKEN  ***    /etc/systemd/system/k3s.service.env\n"));
  EXPECT_THAT(page, testing::HasSubstr("k3s.service (active/running)"));
  EXPECT_THAT(page, testing::HasSubstr("v1.31.4+k3s1, pid 0, not the file on disk"));
}

TEST(PlanPage, ShowsTheWaves) {
  v1::Plan plan;
  plan.set_cluster("shop-12");
  plan.set_from_version("v1.31.4+k3s1");
  plan.set_to_version("v1.32.0+k3s1");
  plan.set_datastore(v1::DATASTORE_EMBEDDED_ETCD);
  plan.add_nodes()->set_role(v1::ROLE_SERVER);
  *plan.add_notices() =
      MakeReason(v1::POD_IN_THE_WAY, "w1", "pod shop/db has an emptyDir", "its data will be lost");
  const std::vector<core::Wave> waves = {
      {"Upgrade the servers",
       "one at a time, etcd leader last",
       1,
       {{"s1", {"cordon", "install v1.32.0+k3s1"}}}},
      {"Upgrade the workers", "", 2, {{"w1", {"drain"}}, {"worker2", {"drain"}}}}};
  EXPECT_EQ(PaintAll(PlanPage(plan, waves), {}),
            "shop-12  from v1.31.4+k3s1 to v1.32.0+k3s1: 1 server, 0 workers, datastore embedded etcd\n"
            "1. Upgrade the servers  (one at a time, etcd leader last)\n"
            "   s1: cordon, install v1.32.0+k3s1\n"
            "2. Upgrade the workers  (2 at once)\n"
            "   w1, worker2: drain\n"
            "Note: w1: pod shop/db has an emptyDir (its data will be lost)\n");
}

TEST(RefusalPage, NamesEverythingThatIsInTheWay) {
  EXPECT_EQ(PaintAll(RefusalPage({MakeReason(v1::DOWNGRADE, "", "v1.30 is older", "use rollback"),
                                  MakeReason(v1::DISK_SPACE, "w1", "")}),
                     {}),
            "Refused; nothing was touched. 2 things are in the way:\n"
            "  - v1.30 is older (use rollback)\n"
            "  - w1: disk space\n");
}

TEST(HistoryPage, ListsTheRollouts) {
  EXPECT_EQ(PaintAll(HistoryPage({{"20260131-142507-4f2a", "v1.31.4+k3s1", "v1.32.0+k3s1", "not finished",
                                   1'769'869'507'000, 1'769'869'572'000}},
                                 absl::UTCTimeZone()),
                     {}),
            "ROLLOUT               KIND     BEGAN                TOOK   FROM          TO            STATE\n"
            "20260131-142507-4f2a  upgrade  2026-01-31 14:25:07  1m05s  v1.31.4+k3s1  v1.32.0+k3s1  not "
            "finished\n");
  EXPECT_EQ(PaintAll(HistoryPage({}, absl::UTCTimeZone()), {}), "No rollouts yet.\n");
}

}  // namespace
}  // namespace k3saga::view
