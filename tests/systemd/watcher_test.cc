#include "tests/systemd/watcher.h"

#include <gtest/gtest.h>

namespace k3saga::hosts {
namespace {

TEST(ReadinessTallyTest, AddsUpWhoWasAwayTogether) {
  ReadinessTally tally({"s1", "s2", "s3"});
  tally.Note(1, "s1", false);
  tally.Note(3, "s2", false);  // two unready from 3
  tally.Note(4, "s3", false);  // none ready from 4
  tally.Note(4.5, "s1", true);
  tally.Note(6, "s2", true);
  tally.Note(7, "s3", true);
  Observation seen;
  tally.Finish(10, &seen);
  EXPECT_DOUBLE_EQ(seen.none_ready, 0.5);
  EXPECT_DOUBLE_EQ(seen.two_unready, 3);
  EXPECT_DOUBLE_EQ(seen.unready["s1"], 3.5);
  EXPECT_DOUBLE_EQ(seen.unready["s2"], 3);
  EXPECT_DOUBLE_EQ(seen.unready["s3"], 3);
  EXPECT_DOUBLE_EQ(seen.last_change, 7);
  EXPECT_EQ(seen.changes.size(), 6u);
}

TEST(ReadinessTallyTest, CountsWhatLastsToTheEnd) {
  ReadinessTally tally({"s1"});
  tally.Note(2, "s1", false);
  tally.Note(3, "s1", false);  // no change
  Observation seen;
  tally.Finish(5, &seen);
  EXPECT_DOUBLE_EQ(seen.none_ready, 3);
  EXPECT_DOUBLE_EQ(seen.two_unready, 0);
  EXPECT_EQ(seen.changes.size(), 1u);
}

}  // namespace
}  // namespace k3saga::hosts
