#include "coordinator/journal/journal.h"

#include "tests/unit/coordinator/journal/events.h"

namespace k3saga::journal {
namespace {

TEST(Summarize, TellsARolloutByItsEvents) {
  const RolloutSummary fresh = Summarize({CreatedEvent("r1")});
  EXPECT_EQ(fresh.rollout, "r1");
  EXPECT_EQ(fresh.cluster, "shop-12");
  EXPECT_EQ(fresh.from_version, "v1.31.4+k3s1");
  EXPECT_EQ(fresh.to_version, "v1.32.0+k3s1");
  EXPECT_EQ(fresh.holder, "ann@laptop:4711");
  EXPECT_EQ(fresh.epoch, 3u);
  EXPECT_EQ(fresh.created_unix_ms, fresh.last_event_unix_ms);
  EXPECT_EQ(fresh.result, v1::RolloutEnded::RESULT_UNSPECIFIED);

  EXPECT_EQ(Summarize({CreatedEvent("r1"), EndedEvent(v1::RolloutEnded::STOPPED)}).result,
            v1::RolloutEnded::STOPPED);
  // Resumed after it had stopped: unfinished again.
  const RolloutSummary again =
      Summarize({CreatedEvent("r1"), EndedEvent(v1::RolloutEnded::STOPPED), ResumedEvent("bob@desk:1", 4)});
  EXPECT_EQ(again.result, v1::RolloutEnded::RESULT_UNSPECIFIED);
  EXPECT_EQ(again.holder, "bob@desk:1");
  EXPECT_EQ(again.epoch, 4u);
}

}  // namespace
}  // namespace k3saga::journal
