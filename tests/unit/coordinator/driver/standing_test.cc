#include "coordinator/driver/standing.h"

#include <gmock/gmock.h>

#include "common/reason.h"
#include "coordinator/core/saga.h"
#include "tests/unit/coordinator/journal/fake_journal.h"

namespace k3saga::driver {
namespace {

using testing::HasSubstr;

v1::Event Created() {
  v1::Event event;
  v1::RolloutCreated& created = *event.mutable_created();
  created.set_rollout("r1");
  created.set_holder("ann@laptop:1");
  created.set_epoch(4);
  created.mutable_plan()->set_cluster("shop-12");
  created.mutable_plan()->add_nodes()->set_name("w1");
  return event;
}

TEST(Standing, TellsWhoElseHoldsTheCluster) {
  struct Case {
    const char* what;
    const char* rollout;
    uint64_t epoch;
    const char* holder;
    bool active;
    const char* my_host;
    const char* said;  // "": nobody else
  };
  const Case cases[] = {
      {"as the journal says", "r1", 4, "ann@laptop:1", true, "laptop", ""},
      {"never claimed", "", 0, "", false, "laptop", ""},
      {"claimed before, not since", "r1", 3, "ann@laptop:0", true, "laptop", ""},
      {"taken over", "r1", 6, "bob@ci:7", true, "laptop", "rollout r1 was taken over by bob@ci:7 since 20"},
      {"taken over and ended", "r1", 6, "bob@ci:7", false, "laptop",
       "was taken over, and ended, by bob@ci:7"},
      {"another rollout runs", "r2", 6, "bob@ci:7", true, "laptop", "rollout r2 holds the cluster"},
      {"another rollout ran", "r2", 6, "bob@ci:7", false, "laptop", "rollout r2 was run since then"},
      {"two of one epoch", "r1", 4, "bob@ci:7", true, "laptop", "was taken over by bob@ci:7"},
      {"a copy of the journal", "r1", 4, "ann@laptop:1", true, "ci",
       "is run on another machine, by ann@laptop:1"},
      {"a copy, before any claim", "", 0, "", false, "ci", "is run on another machine, by ann@laptop:1"},
  };
  core::State state;
  ASSERT_TRUE(core::Apply(Created(), state).ok());
  for (const Case& one : cases) {
    v1::NodeFacts facts;
    v1::Claim& claim = *facts.mutable_claim();
    claim.set_rollout(one.rollout);
    claim.set_epoch(one.epoch);
    claim.set_holder(one.holder);
    claim.set_active(one.active);
    claim.set_since_unix_ms(1'769'869'507'000);
    const auto held = WhoElseHolds(state, {v1::NodeFacts(), facts}, one.my_host);
    EXPECT_EQ(held.has_value(), *one.said != 0) << one.what;
    if (!held) continue;
    EXPECT_EQ(held->code(), v1::CLUSTER_HELD);
    EXPECT_THAT(held->detail(), HasSubstr(one.said)) << one.what;
    EXPECT_NE(held->remedy(), "") << one.what;
  }
}

TEST(Standing, NamesTheHost) {
  EXPECT_EQ(HostOf("ann@laptop:4711"), "laptop");
  EXPECT_EQ(HostOf("a@b@laptop.example:4711"), "laptop.example");
  EXPECT_EQ(HostOf("ann"), "");
  EXPECT_EQ(HostOf(""), "");
}

TEST(Standing, WhatWasTakenOverEndsInThisJournalOnly) {
  journal::FakeJournal journal;
  journal.rollouts["r1"] = {Created()};
  const v1::Reason reason = MakeReason(v1::STALE_EPOCH, "shop-12", "taken over by bob@ci:7");
  ASSERT_TRUE(EndHere(journal, "r1", reason, 5).ok());
  const v1::Event& last = journal.rollouts["r1"].back();
  EXPECT_EQ(last.ended().result(), v1::RolloutEnded::STOPPED);
  EXPECT_EQ(last.ended().reason().code(), v1::STALE_EPOCH);
  EXPECT_FALSE(EndHere(journal, "r1", reason, 6).ok()) << "once";
}

}  // namespace
}  // namespace k3saga::driver
