#include "coordinator/view/model.h"

#include "tests/unit/coordinator/view/story.h"

namespace k3saga::view {
namespace {

const NodeRow& Node(const Model& model, const std::string& name) {
  for (const NodeRow& row : model.nodes) {
    if (row.name == name) return row;
  }
  ADD_FAILURE() << "no row for " << name;
  return model.nodes.front();
}

TEST(Model, ShowsWhereEachNodeIs) {
  Story story;
  const uint64_t install = story.TellHalf();
  v1::Progress progress;
  progress.set_phase("download");
  progress.set_percent(42);
  const Model model = BuildModel(story.state(), {{"s2", {install, progress}}}, story.now_ms());
  EXPECT_EQ(HeadlineWord(model), "running");
  EXPECT_EQ(Node(model, "s1").phase, core::Phase::kUpgraded);
  EXPECT_EQ(Node(model, "s1").version, "v1.32.0+k3s1");
  EXPECT_EQ(Node(model, "s2").phase, core::Phase::kInstalling);
  EXPECT_EQ(Node(model, "s2").note, "download 42 %");
  EXPECT_EQ(Node(model, "s2").version, "unknown");
  EXPECT_EQ(Node(model, "w1").standing, Standing::kPending);
  EXPECT_EQ(Node(model, "w1").version, "v1.31.4+k3s1");
}

TEST(Model, ForgetsProgressOfAnOperationThatIsOver) {
  Story story;
  const uint64_t install = story.TellHalf();
  v1::Progress progress;
  progress.set_phase("verify");
  story.SettleInstalled(install);
  const Model model = BuildModel(story.state(), {{"s2", {install, progress}}}, story.now_ms());
  EXPECT_EQ(Node(model, "s2").note, "");
}

TEST(Model, TimesTheSteps) {
  Story story;
  story.TellHalf();
  const Model model = BuildModel(story.state(), {}, story.now_ms() + 10'000);
  ASSERT_EQ(model.steps.size(), 6u);
  EXPECT_EQ(model.steps[0].elapsed_ms, 1000);
  EXPECT_EQ(model.steps[0].standing, Standing::kDone);
  EXPECT_EQ(model.steps[3].standing, Standing::kRunning);
  EXPECT_EQ(model.steps[3].elapsed_ms, 15'000);
  EXPECT_EQ(model.steps[3].done, 1u);
  EXPECT_EQ(model.steps[3].total, 2u);
  EXPECT_EQ(model.steps[4].standing, Standing::kPending);
}

TEST(Model, SaysWhatIsWaitedFor) {
  Story story;
  story.TellHalf();
  const v1::Reason reason = MakeReason(v1::SERVER_NOT_SETTLED, "s1", "ready for 3s of 15s");
  story.Hold("w1", reason);
  const Model model = BuildModel(story.state(), {}, story.now_ms());
  EXPECT_EQ(Node(model, "w1").note, "waits: s1: ready for 3s of 15s");
  EXPECT_EQ(Node(model, "w1").reason.code(), v1::SERVER_NOT_SETTLED);
  ASSERT_EQ(model.held.size(), 1u);
}

TEST(Model, TellsPausingFromPaused) {
  Story story;
  const uint64_t install = story.TellHalf();
  story.Command(v1::CommandReceived::PAUSE);
  EXPECT_EQ(HeadlineWord(BuildModel(story.state(), {}, 0)), "pausing");
  story.SettleInstalled(install);
  EXPECT_EQ(HeadlineWord(BuildModel(story.state(), {}, 0)), "paused");
  story.Command(v1::CommandReceived::ABORT);
  EXPECT_EQ(HeadlineWord(BuildModel(story.state(), {}, 0)), "aborting");
}

TEST(Model, ShowsTheWayBack) {
  Story story;
  story.TellCompensated();
  const Model model = BuildModel(story.state(), {}, story.now_ms() + 3'600'000);
  EXPECT_EQ(HeadlineWord(model), "compensated");
  EXPECT_EQ(model.reason.code(), v1::API_NOT_READY);
  EXPECT_EQ(model.elapsed_ms, 16'000) << "the clock stops at the end";
  EXPECT_EQ(model.steps[3].standing, Standing::kFailed);
  EXPECT_EQ(model.steps[4].step, v1::STEP_RESTORE_FROM_BACKUP);
  EXPECT_EQ(model.steps[4].standing, Standing::kDone);
  EXPECT_EQ(model.steps[5].standing, Standing::kSkipped);
  EXPECT_EQ(Node(model, "s1").phase, core::Phase::kPutBack);
  EXPECT_EQ(Node(model, "s1").version, "v1.31.4+k3s1");
  EXPECT_EQ(Node(model, "s2").phase, core::Phase::kFailed);
}

}  // namespace
}  // namespace k3saga::view
