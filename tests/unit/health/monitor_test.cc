#include "agent/health/monitor.h"

#include "common/reason.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_k3s.h"
#include "tests/support/fake_time.h"
#include "tests/unit/etcd/views.h"

namespace k3saga::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Eventually;
using ::testing::HasSubstr;

class MonitorTest : public ::testing::Test {
 protected:
  MonitorTest() {
    etcd_.view = etcd::HealthyView(3, 2);
    kube_.nodes.resize(2);
  }
  // An hour: its own looks do not come in between.
  ReadinessMonitor::Parts Parts(milliseconds interval = std::chrono::hours(1)) {
    return {.local = &local_,
            .checks = &checks_,
            .etcd = &etcd_,
            .kube = &kube_,
            .clock = &time_,
            .node = "s1",
            .interval = interval};
  }

  testing::FakeTime time_;
  testing::FakeLocalK3s local_;
  testing::FakeEtcd etcd_;
  testing::FakeKube kube_;
  HealthChecks checks_{{.local = &local_,
                        .etcd = &etcd_,
                        .kube = &kube_,
                        .kubelet_health_url = "",
                        .clock = &time_,
                        .pauser = &time_}};
};

TEST_F(MonitorTest, ProvesWhatAGateWantsToKnow) {
  ReadinessMonitor monitor(Parts());
  monitor.Prove(false, seconds(5));
  time_.Advance(seconds(3));
  const v1::ServerProof proof = monitor.Prove(true, seconds(5));
  EXPECT_EQ(proof.node(), "s1");
  EXPECT_TRUE(proof.reachable());
  EXPECT_TRUE(proof.ready());
  EXPECT_EQ(proof.ready_for_ms(), 3000u);
  EXPECT_EQ(proof.main_pid(), 100u);
  EXPECT_EQ(proof.main_start_ticks(), 1u);
  EXPECT_EQ(proof.running_version(), "v1.31.4+k3s1");
  EXPECT_TRUE(proof.etcd_serving());
  EXPECT_EQ(proof.member_id(), 1u);
  EXPECT_EQ(proof.leader_id(), 2u);
  EXPECT_EQ(proof.members_size(), 3);
  EXPECT_EQ(proof.etcd_version(), "3.5.16");
  EXPECT_EQ(proof.etcd_cluster_version(), "3.5.0");
  EXPECT_EQ(proof.nodes_size(), 2);
  EXPECT_EQ(proof.note(), "");
  EXPECT_EQ(monitor.Prove(false, seconds(5)).nodes_size(), 0);
}

TEST_F(MonitorTest, ARestartStartsTheCountAgain) {
  ReadinessMonitor monitor(Parts());
  monitor.Prove(false, seconds(5));
  time_.Advance(seconds(2));
  EXPECT_EQ(monitor.Prove(false, seconds(5)).ready_for_ms(), 2000u);
  local_.Set([](auto& local) {
    local.main = {.pid = 200, .start_ticks = 2};
    local.last_words = "lost leader election";
  });
  time_.Advance(seconds(1));
  const v1::ServerProof proof = monitor.Prove(false, seconds(5));
  EXPECT_TRUE(proof.ready());
  EXPECT_EQ(proof.ready_for_ms(), 0u);
  EXPECT_THAT(proof.note(), HasSubstr("lost leader election"));
  EXPECT_EQ(monitor.restarts(), 1u);
}

TEST_F(MonitorTest, AnAnswerOfAProcessThatIsGoneDoesNotCount) {
  ReadinessMonitor monitor(Parts());
  kube_.on_ready = [&] { local_.Set([](auto& local) { local.main = {.pid = 200, .start_ticks = 2}; }); };
  const v1::ServerProof proof = monitor.Prove(false, seconds(5));
  EXPECT_FALSE(proof.ready());
  EXPECT_THAT(proof.note(), HasSubstr("replaced just now"));
}

TEST_F(MonitorTest, SaysWhyAServerIsNotReadyInItsOwnWords) {
  ReadinessMonitor monitor(Parts());
  kube_.ready = ReasonError(MakeReason(v1::API_NOT_READY, "", "/readyz answers 500: failing: etcd"));
  etcd_.view = {};
  etcd_.view.own_error = "no answer in time";
  local_.last_words = "lost leader election";
  const v1::ServerProof proof = monitor.Prove(true, seconds(5));
  EXPECT_TRUE(proof.reachable());
  EXPECT_FALSE(proof.ready());
  EXPECT_FALSE(proof.etcd_serving());
  EXPECT_THAT(proof.note(), HasSubstr("failing: etcd"));
  EXPECT_THAT(proof.note(), HasSubstr("lost leader election"));
}

TEST_F(MonitorTest, SleepsUntilSomebodyCaresAndAgainAfterwards) {
  ReadinessMonitor monitor(Parts(milliseconds(1)));
  EXPECT_EQ(local_.Looks(), 0);
  monitor.ClaimHeld(true);
  EXPECT_TRUE(Eventually([&] { return local_.Looks() > 6; })) << "it watches while the claim is held";
  monitor.ClaimHeld(false);
  const auto quiet = [&] {
    const int looks = local_.Looks();
    std::this_thread::sleep_for(milliseconds(50));
    return local_.Looks() == looks;
  };
  EXPECT_TRUE(Eventually(quiet));

  monitor.Prove(false, seconds(5));  // interest for a minute
  const int looks = local_.Looks();
  EXPECT_TRUE(Eventually([&] { return local_.Looks() > looks + 6; }));
  time_.Advance(seconds(61));
  EXPECT_TRUE(Eventually(quiet));
}

TEST_F(MonitorTest, SaysWithTheNodesWhichPackagedComponentsAreInTrouble) {
  kube_.components.resize(2);
  kube_.components[0].set_kind("Deployment");
  kube_.components[0].set_name("coredns");
  kube_.components[0].set_detail("0 of 1 available");
  kube_.components[1].set_ready(true);
  ReadinessMonitor monitor(Parts());
  EXPECT_EQ(monitor.Prove(false, seconds(2)).components_size(), 0);
  const v1::ServerProof proof = monitor.Prove(true, seconds(2));
  ASSERT_EQ(proof.components_size(), 1);
  EXPECT_EQ(proof.components(0).subject(), "Deployment coredns");
}

}  // namespace
}  // namespace k3saga::health
