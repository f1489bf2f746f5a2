#include "coordinator/driver/identity.h"

namespace k3saga::driver {
namespace {

TEST(MakeRolloutId, SortsByTimeAndTellsTwoOfOneSecondApart) {
  EXPECT_EQ(MakeRolloutId(1'769'869'507'999, 0xabcd4f2a), "20260131-142507-4f2a");
  EXPECT_EQ(MakeRolloutId(1'769'869'507'000, 7), "20260131-142507-0007");
  EXPECT_LT(MakeRolloutId(1'769'869'507'000, 0xffff), MakeRolloutId(1'769'869'508'000, 0));
}

TEST(NextEpoch, IsHigherThanWhateverAnybodySaw) {
  EXPECT_EQ(NextEpoch({}, {}), 1u);
  v1::NodeFacts claimed;
  claimed.mutable_claim()->set_epoch(7);
  journal::RolloutSummary ours;
  ours.epoch = 9;
  EXPECT_EQ(NextEpoch({v1::NodeFacts(), claimed}, {}), 8u);
  EXPECT_EQ(NextEpoch({claimed}, {ours}), 10u);
}

}  // namespace
}  // namespace k3saga::driver
