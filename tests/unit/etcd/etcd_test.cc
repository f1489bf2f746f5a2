#include "agent/etcd/etcd.h"

#include <chrono>

#include "agent/etcd/channels.h"
#include "common/host/files.h"
#include "common/reason.h"
#include "tests/support/etcd_cluster.h"
#include "tests/support/eventually.h"

namespace k3saga::etcd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::EtcdCluster;
using testing::Eventually;

// Real etcd, real TLS; each test has a cluster of its own.
class EtcdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!EtcdCluster::Available()) {
      GTEST_SKIP() << "/usr/bin/etcd is missing (apt-get install etcd-server)";
    }
  }
  std::unique_ptr<Etcd> Client(const EtcdCluster& cluster, size_t index) {
    return MakeEtcd([access = cluster.AccessOf(index)] { return access; }, clock_, pauser_);
  }
  static v1::LastCheck Check(const EtcdCluster& cluster, size_t members) {
    v1::LastCheck check;
    check.set_require_quorum_without_me(true);
    for (size_t i = 0; i < members; ++i) {
      check.add_members(cluster.Id(i));
    }
    return check;
  }

  SystemClock clock_;
  SystemPauser pauser_;
};

TEST_F(EtcdTest, SeesEveryMemberAndMovesTheLeadership) {
  EtcdCluster cluster(3);
  const size_t leader = cluster.Leader();
  const size_t other = (leader + 1) % 3;
  const size_t third = (leader + 2) % 3;
  const auto etcd = Client(cluster, leader);

  const ClusterView view = etcd->View(seconds(10));
  ASSERT_EQ(view.own, ClusterView::Own::kServing) << view.own_error;
  EXPECT_EQ(view.own_id, cluster.Id(leader));
  ASSERT_EQ(view.members.size(), 3u);
  for (const MemberView& member : view.members) {
    EXPECT_TRUE(HealthyVoter(view, member, cluster.Id(leader)))
        << member.member.name() << ": " << member.error;
    EXPECT_TRUE(member.quorum_read) << member.error;
    EXPECT_THAT(member.version, ::testing::StartsWith("3."));
  }
  const v1::EtcdFacts facts = ToFacts(view);
  EXPECT_EQ(facts.leader_id(), cluster.Id(leader));
  EXPECT_TRUE(facts.linearizable_read());
  EXPECT_GT(facts.database_bytes(), 0u);
  EXPECT_GT(facts.applied_index(), 0u);

  // The last check: the leader must not stop, and may when nobody minds.
  v1::LastCheck check = Check(cluster, 3);
  EXPECT_TRUE(CheckBeforeStop(*etcd, check, "s", seconds(10)).ok());
  check.set_refuse_if_leader(true);
  EXPECT_EQ(ReasonOf(CheckBeforeStop(*etcd, check, "s", seconds(10))).code(), v1::NODE_LEADS_ETCD);

  // Moving: to the first preferred member, believed when seen, and nothing the second time.
  const Patience patience{.timeout = seconds(20), .stop = {}};
  ASSERT_TRUE(etcd->MoveLeader({cluster.Id(third), cluster.Id(other)}, patience).ok());
  EXPECT_EQ(cluster.Leader(), third);
  ASSERT_TRUE(etcd->MoveLeader({cluster.Id(other)}, patience).ok());
  EXPECT_EQ(cluster.Leader(), third) << "a member that does not lead moves nothing";
  EXPECT_TRUE(CheckBeforeStop(*etcd, check, "s", seconds(10)).ok());

  // Connections closed at rest are opened again.
  etcd->Rest();
  EXPECT_EQ(etcd->View(seconds(10)).own, ClusterView::Own::kServing);
}

TEST_F(EtcdTest, ADeadMemberIsNamedAndTheLostQuorumIsSeen) {
  EtcdCluster cluster(3);
  const auto etcd = Client(cluster, 0);
  ASSERT_TRUE(CheckBeforeStop(*etcd, Check(cluster, 3), "s1", seconds(10)).ok());

  cluster.Kill(2);
  cluster.Leader();
  absl::Status status;
  ASSERT_TRUE(Eventually([&] {
    status = CheckBeforeStop(*etcd, Check(cluster, 3), "s1", seconds(3));
    return ReasonOf(status).code() == v1::QUORUM_WOULD_BE_LOST;
  })) << status;
  EXPECT_THAT(ReasonOf(status).detail(), ::testing::HasSubstr("s3 (not to be reached"));

  // Without a quorum the own member still says who the members are, but reads through nobody succeed.
  cluster.Kill(1);
  ClusterView view;
  EXPECT_TRUE(Eventually([&] {
    view = etcd->View(seconds(2));
    return view.own == ClusterView::Own::kServing && view.Me()->leader == 0;
  }));
  EXPECT_FALSE(view.Me()->quorum_read);
  EXPECT_EQ(ReasonOf(CheckBeforeStop(*etcd, Check(cluster, 3), "s1", seconds(2))).code(), v1::NO_LEADER);
  const auto moved = etcd->MoveLeader({}, {.timeout = milliseconds(500), .stop = {}});
  EXPECT_EQ(ReasonOf(moved).code(), v1::LEADER_MOVE_FAILED);

  // It comes back, and a connection of before does no harm.
  cluster.StartAgain(1);
  cluster.StartAgain(2);
  EXPECT_TRUE(Eventually([&] { return CheckBeforeStop(*etcd, Check(cluster, 3), "s1", seconds(3)).ok(); }));
}

TEST_F(EtcdTest, AnOwnMemberThatIsDownHasNoVoteToLoseOneThatHangsMight) {
  EtcdCluster cluster(1);
  const auto etcd = Client(cluster, 0);
  ASSERT_EQ(etcd->View(seconds(10)).own, ClusterView::Own::kServing);

  cluster.Freeze(0);
  const ClusterView frozen = etcd->View(milliseconds(400));
  EXPECT_EQ(frozen.own, ClusterView::Own::kUnclear);
  EXPECT_THAT(ToFacts(frozen).error(), ::testing::HasSubstr("no answer in time"));
  EXPECT_EQ(ReasonOf(CheckBeforeStop(*etcd, Check(cluster, 1), "s1", milliseconds(400))).code(),
            v1::MEMBER_UNHEALTHY);
  cluster.Thaw(0);
  EXPECT_TRUE(Eventually([&] { return etcd->View(seconds(2)).own == ClusterView::Own::kServing; }));

  cluster.Kill(0);
  EXPECT_EQ(etcd->View(seconds(2)).own, ClusterView::Own::kNotListening);
  EXPECT_TRUE(CheckBeforeStop(*etcd, Check(cluster, 1), "s1", seconds(2)).ok());
  EXPECT_TRUE(etcd->MoveLeader({}, {.timeout = seconds(2), .stop = {}}).ok());
}

TEST_F(EtcdTest, LearnersAndAlarmsAreSeen) {
  EtcdCluster cluster(3);
  const auto etcd = Client(cluster, 0);
  const uint64_t learner = cluster.AddLearner(/*start=*/true);

  ClusterView view;
  ASSERT_TRUE(Eventually([&] {
    view = etcd->View(seconds(5));
    return view.Find(learner) != nullptr && view.Find(learner)->answered;
  }));
  EXPECT_TRUE(view.Find(learner)->member.learner());
  EXPECT_TRUE(view.Find(learner)->learner);
  EXPECT_FALSE(HealthyVoter(view, *view.Find(learner), view.Me()->leader));
  EXPECT_EQ(Quorum(view), 2u);
  EXPECT_EQ(ReasonOf(CheckBeforeStop(*etcd, Check(cluster, 3), "s1", seconds(5))).code(),
            v1::MEMBERSHIP_CHANGED);
  EXPECT_TRUE(CheckBeforeStop(*etcd, Check(cluster, 4), "s1", seconds(5)).ok());

  cluster.RaiseNoSpaceAlarm(1);
  ASSERT_TRUE(Eventually([&] {
    view = etcd->View(seconds(5));
    return !view.Find(cluster.Id(1))->alarms.empty();
  }));
  EXPECT_THAT(view.Find(cluster.Id(1))->alarms, ::testing::ElementsAre("NOSPACE"));
  EXPECT_EQ(ReasonOf(CheckBeforeStop(*etcd, Check(cluster, 4), "s1", seconds(5))).code(),
            v1::QUORUM_WOULD_BE_LOST);
}

TEST_F(EtcdTest, AMemberThatIsOnlyListedIsNoHelp) {
  EtcdCluster cluster(1);
  const uint64_t listed = cluster.AddLearner(/*start=*/false);
  const ClusterView view = Client(cluster, 0)->View(seconds(5));
  ASSERT_NE(view.Find(listed), nullptr);
  EXPECT_FALSE(view.Find(listed)->started());
  EXPECT_FALSE(view.Find(listed)->answered);
  EXPECT_EQ(view.Find(listed)->error, "listed but never started");
}

TEST_F(EtcdTest, ACancelledMoveEndsAtOnce) {
  EtcdCluster cluster(1);
  std::stop_source stop;
  stop.request_stop();
  const auto status = Client(cluster, 0)->MoveLeader({}, {.timeout = seconds(60), .stop = stop.get_token()});
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

TEST_F(EtcdTest, MissingCertificatesAreNamed) {
  const Access access = K3sAccess("/nowhere", "127.0.0.1:2379");
  EXPECT_NE(MakeEtcd([access] { return access; }, clock_, pauser_)->View(seconds(1)).own,
            ClusterView::Own::kServing);
  Channels channels;
  EXPECT_THAT(std::string(channels.Refresh(access).message()),
              ::testing::HasSubstr("/nowhere/server/tls/etcd/server-ca.crt"));
}

TEST(TargetOf, TakesAddressesAndUrls) {
  EXPECT_EQ(*TargetOf("127.0.0.1:2379"), "ipv4:127.0.0.1:2379");
  EXPECT_EQ(*TargetOf("https://10.1.2.3:2379"), "ipv4:10.1.2.3:2379");
  EXPECT_EQ(*TargetOf("https://[fd00::1]:2379"), "ipv6:[fd00::1]:2379");
  EXPECT_EQ(*TargetOf("https://etcd.example:2379"), "dns:///etcd.example:2379");
  for (const char* bad : {"", "127.0.0.1", "http://127.0.0.1:2379", "127.0.0.1:", ":2379"}) {
    EXPECT_FALSE(TargetOf(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace k3saga::etcd
