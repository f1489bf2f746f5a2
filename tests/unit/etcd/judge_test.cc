#include "agent/etcd/judge.h"

#include <functional>

#include "tests/unit/etcd/views.h"

namespace k3saga::etcd {
namespace {

constexpr v1::ReasonCode kAllowed = v1::REASON_UNSPECIFIED;

v1::LastCheck StrictCheck(uint64_t members) {
  v1::LastCheck check;
  check.set_require_quorum_without_me(true);
  check.set_refuse_if_leader(true);
  for (uint64_t id = 1; id <= members; ++id) {
    check.add_members(id);
  }
  return check;
}

struct Case {
  const char* name;
  uint64_t members;
  uint64_t leader;
  std::function<void(ClusterView&, v1::LastCheck&)> change;
  v1::ReasonCode expected;
};

void Nothing(ClusterView&, v1::LastCheck&) {}
std::function<void(ClusterView&, v1::LastCheck&)> Silence(size_t index) {
  return [index](ClusterView& view, v1::LastCheck&) {
    view.members[index].answered = false;
    view.members[index].error = "not to be reached";
  };
}

const Case kCases[] = {
    {"three healthy", 3, 2, Nothing, kAllowed},
    {"five healthy", 5, 2, Nothing, kAllowed},
    {"four healthy: three are left, a quorum is three", 4, 2, Nothing, kAllowed},
    {"two servers", 2, 2, Nothing, v1::QUORUM_WOULD_BE_LOST},
    {"two servers, consented", 2, 2,
     [](ClusterView&, v1::LastCheck& check) { check.set_require_quorum_without_me(false); }, kAllowed},
    {"one server", 1, 1, [](ClusterView&, v1::LastCheck& check) { check.set_refuse_if_leader(false); },
     v1::QUORUM_WOULD_BE_LOST},
    {"one server, consented", 1, 1,
     [](ClusterView&, v1::LastCheck& check) {
       check.set_refuse_if_leader(false);
       check.set_require_quorum_without_me(false);
     },
     kAllowed},
    {"one of three is down", 3, 2, Silence(2), v1::QUORUM_WOULD_BE_LOST},
    {"one of five is down", 5, 2, Silence(2), kAllowed},
    {"one of four is down", 4, 2, Silence(2), v1::QUORUM_WOULD_BE_LOST},
    {"I lead", 3, 1, Nothing, v1::NODE_LEADS_ETCD},
    {"I lead, nobody minds", 3, 1,
     [](ClusterView&, v1::LastCheck& check) { check.set_refuse_if_leader(false); }, kAllowed},
    {"nobody leads", 3, 0, Nothing, v1::NO_LEADER},
    {"another one follows somebody else", 3, 2,
     [](ClusterView& view, v1::LastCheck&) { view.members[2].leader = 3; }, v1::QUORUM_WOULD_BE_LOST},
    {"another one is behind", 3, 2,
     [](ClusterView& view, v1::LastCheck&) { view.members[2].applied_index -= kCaughtUpEntries + 1; },
     v1::QUORUM_WOULD_BE_LOST},
    {"another one trails a little", 3, 2,
     [](ClusterView& view, v1::LastCheck&) { view.members[2].applied_index -= kCaughtUpEntries; }, kAllowed},
    {"I am behind", 3, 2, [](ClusterView& view, v1::LastCheck&) { view.members[0].applied_index = 7; },
     kAllowed},
    {"another one has an alarm", 3, 2,
     [](ClusterView& view, v1::LastCheck&) { view.members[2].alarms = {"NOSPACE"}; },
     v1::QUORUM_WOULD_BE_LOST},
    {"another one never started", 3, 2,
     [](ClusterView& view, v1::LastCheck&) {
       view.members[2].member.clear_client_urls();
       view.members[2].answered = false;
     },
     v1::QUORUM_WOULD_BE_LOST},
    {"a learner is new", 4, 2,
     [](ClusterView& view, v1::LastCheck& check) {
       view.members[3].member.set_learner(true);
       check = StrictCheck(3);
     },
     v1::MEMBERSHIP_CHANGED},
    {"a learner was there: it has no vote", 4, 2,
     [](ClusterView& view, v1::LastCheck&) { view.members[3].member.set_learner(true); }, kAllowed},
    {"a learner was there and a voter is down", 4, 2,
     [](ClusterView& view, v1::LastCheck& check) {
       view.members[3].member.set_learner(true);
       Silence(2)(view, check);
     },
     v1::QUORUM_WOULD_BE_LOST},
    {"a member is gone", 3, 2, [](ClusterView&, v1::LastCheck& check) { check.add_members(4); },
     v1::MEMBERSHIP_CHANGED},
    {"nobody said who the members were", 3, 2,
     [](ClusterView&, v1::LastCheck& check) { check.clear_members(); }, kAllowed},
    {"my etcd is down already", 3, 2,
     [](ClusterView& view, v1::LastCheck&) {
       view = {};
       view.own = ClusterView::Own::kNotListening;
     },
     kAllowed},
    {"my etcd hangs", 3, 2,
     [](ClusterView& view, v1::LastCheck&) {
       view = {};
       view.own_error = "no answer in time";
     },
     v1::MEMBER_UNHEALTHY},
};

TEST(JudgeBeforeStop, SaysYesOnlyWhenTheOthersCarryTheCluster) {
  for (const Case& c : kCases) {
    ClusterView view = HealthyView(c.members, c.leader);
    v1::LastCheck check = StrictCheck(c.members);
    c.change(view, check);
    const auto refusal = JudgeBeforeStop(check, view, "s1");
    EXPECT_EQ(refusal ? refusal->code() : kAllowed, c.expected) << c.name;
    if (refusal) {
      EXPECT_EQ(refusal->subject(), "s1") << c.name;
      EXPECT_NE(refusal->detail(), "") << c.name;
    }
  }
}

TEST(JudgeBeforeStop, NamesTheMembersThatAreNotHealthyAndWhy) {
  ClusterView view = HealthyView(3, 2);
  view.members[2].answered = false;
  view.members[2].error = "no answer in time";
  const auto refusal = JudgeBeforeStop(StrictCheck(3), view, "s1");
  ASSERT_TRUE(refusal);
  EXPECT_THAT(refusal->detail(), ::testing::HasSubstr("s3 (no answer in time)"));
}

TEST(ChooseLeader, TakesTheFirstPreferredThatIsHealthy) {
  const ClusterView view = HealthyView(3, 1);
  EXPECT_EQ(ChooseLeader({3, 2}, view), 3u);
  EXPECT_EQ(ChooseLeader({1, 99, 2}, view), 2u) << "neither itself nor a stranger";
}

TEST(ChooseLeader, FallsBackToTheFurthestHealthyVoter) {
  ClusterView view = HealthyView(4, 1);
  view.members[1].applied_index -= 10;
  view.members[3].member.set_learner(true);
  EXPECT_EQ(ChooseLeader({}, view), 3u);
  view.members[2].answered = false;
  EXPECT_EQ(ChooseLeader({3, 4}, view), 2u);
  view.members[1].alarms = {"CORRUPT"};
  EXPECT_EQ(ChooseLeader({}, view), 0u);
}

}  // namespace
}  // namespace k3saga::etcd
