#include "agent/etcd/view.h"

#include "tests/unit/etcd/views.h"

namespace k3saga::etcd {
namespace {

TEST(View, CountsAQuorumOfVotersOnly) {
  const std::pair<uint64_t, size_t> expected[] = {{1, 1}, {2, 2}, {3, 2}, {4, 3}, {5, 3}};
  for (const auto& [members, quorum] : expected) {
    EXPECT_EQ(Quorum(HealthyView(members, 1)), quorum) << members;
  }
  ClusterView view = HealthyView(4, 1);
  view.members[3].member.set_learner(true);
  EXPECT_EQ(Quorum(view), 2u);
}

TEST(View, BecomesFacts) {
  ClusterView view = HealthyView(3, 2);
  view.members[2].alarms = {"NOSPACE"};
  view.members[2].member.set_id(0xabc);
  const v1::EtcdFacts facts = ToFacts(view);
  EXPECT_EQ(facts.member_id(), 1u);
  EXPECT_EQ(facts.leader_id(), 2u);
  EXPECT_EQ(facts.version(), "3.5.16");
  EXPECT_TRUE(facts.linearizable_read());
  EXPECT_EQ(facts.members_size(), 3);
  ASSERT_EQ(facts.alarms_size(), 1);
  EXPECT_EQ(facts.alarms(0), "NOSPACE@abc");
  EXPECT_EQ(facts.error(), "");
}

TEST(View, SaysWhyFactsAreMissing) {
  ClusterView view;
  view.own_error = "nothing listens";
  EXPECT_EQ(ToFacts(view).error(), "nothing listens");
  EXPECT_EQ(ToFacts(view).members_size(), 0);
}

TEST(View, LowestVersionNeedsEveryVoter) {
  ClusterView view = HealthyView(3, 1);
  view.members[1].version = "3.6.1";
  EXPECT_EQ(LowestVersion(view), "3.5.0");
  view.members[0].version = "3.10.2";
  EXPECT_EQ(LowestVersion(view), "3.5.0");
  view.members[2].version = "";
  EXPECT_EQ(LowestVersion(view), "");
  view.members[2].member.set_learner(true);
  EXPECT_EQ(LowestVersion(view), "3.6.0");
  EXPECT_EQ(LowestVersion({}), "");
}

}  // namespace
}  // namespace k3saga::etcd
