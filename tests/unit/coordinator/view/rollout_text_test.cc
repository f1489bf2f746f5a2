#include "coordinator/view/rollout_text.h"

#include "tests/unit/coordinator/view/story.h"

namespace k3saga::view {
namespace {

std::string Page(const Story& story, const Telemetry& telemetry = {}, const Style& style = {}) {
  return PaintAll(RolloutPage(BuildModel(story.state(), telemetry, story.now_ms()), style), style);
}

TEST(RolloutPage, InTheMiddle) {
  Story story;
  v1::Progress progress;
  progress.set_phase("restart");
  const uint64_t install = story.TellHalf();
  EXPECT_EQ(Page(story, {{"s2", {install, progress}}}),
            R"(shop-12  v1.31.4+k3s1 → v1.32.0+k3s1  running  9s  rollout 20260131-142507-4f2a
  ✓  Preflight              1s
  ✓  Stage release          1s
  ✓  Backup before upgrade  1s
  ●  Upgrade servers        5s  1 of 2
  ·  Upgrade workers
  ·  Verify

     NODE  ROLE    VERSION       STATE
  ✓  s1    server  v1.32.0+k3s1  upgraded
  ●  s2    server  unknown       installing  restart
  ·  w1    worker  v1.31.4+k3s1  pending
)");
}

TEST(RolloutPage, AfterCompensation) {
  Story story;
  story.TellCompensated();
  EXPECT_EQ(Page(story, {}, {.unicode = false}),
            R"(shop-12  v1.31.4+k3s1 -> v1.32.0+k3s1  compensated  16s  rollout 20260131-142507-4f2a
  +  Preflight              1s
  +  Stage release          1s
  +  Backup before upgrade  1s
  x  Upgrade servers        6s  0 of 2
  +  Restore from backup    6s  because s2: /readyz was not 200 within 5m (look at its journal)
  -  Upgrade workers
  -  Verify

     NODE  ROLE    VERSION       STATE
  +  s1    server  v1.31.4+k3s1  put back
  x  s2    server  v1.31.4+k3s1  failed    s2: /readyz was not 200 within 5m (look at its journal)
  -  w1    worker  v1.31.4+k3s1  skipped
)");
  EXPECT_EQ(PaintAll(Conclusion(BuildModel(story.state(), {}, story.now_ms())), {}),
            "Failed and compensated: every server that moved is back at v1.31.4+k3s1.\n"
            "Why: s2: /readyz was not 200 within 5m (look at its journal)\n");
}

TEST(RolloutPage, OnASmallTerminalShowsWhatMatters) {
  Story story;
  story.TellHalf();
  const std::string page = Page(story, {}, {.width = 40, .height = 14});
  EXPECT_THAT(page, testing::HasSubstr("s2    server"));
  EXPECT_THAT(page, testing::Not(testing::HasSubstr("w1    worker")));
  EXPECT_THAT(page, testing::HasSubstr("and 1 more node: 1 waiting"));
}

TEST(RolloutPage, SaysWhatItWaitsFor) {
  Story story;
  story.TellHalf();
  story.Hold("", MakeReason(v1::MEMBER_UNHEALTHY, "s1", "etcd does not answer"));
  EXPECT_THAT(Page(story), testing::HasSubstr("\n  waits  s1: etcd does not answer\n"));
}

TEST(Conclusion, NamesWhatADatastoreThatWentBackCost) {
  Story story;
  story.TellCompensated();
  Model model = BuildModel(story.state(), {}, story.now_ms());
  EXPECT_THAT(PaintAll(Conclusion(model), {}), testing::Not(testing::HasSubstr("Lost")));
  model.lost_since_ms = Story::kBegan;
  EXPECT_THAT(PaintAll(Conclusion(model), {}),
              testing::HasSubstr("\nLost: everything written to the cluster since 2026-01-31 "));
}

TEST(Conclusion, NothingWhileItRuns) {
  Story story;
  story.TellHalf();
  EXPECT_TRUE(Conclusion(BuildModel(story.state(), {}, story.now_ms())).empty());
}

}  // namespace
}  // namespace k3saga::view
