#include "coordinator/view/teller.h"

#include "tests/unit/coordinator/view/story.h"

namespace k3saga::view {
namespace {

TEST(Teller, TellsAChangeALine) {
  Story story;
  story.TellCompensated();
  Teller teller(absl::UTCTimeZone());
  std::string text;
  std::string kept;
  core::State state;
  for (const v1::Event& event : story.events()) {
    ASSERT_TRUE(core::Apply(event, state).ok());
    for (const Teller::Told& told : teller.Tell(event, state)) {
      text += Paint(told.line, {}) + "\n";
      if (told.important) kept += Paint(told.line, {}) + "\n";
    }
  }
  EXPECT_EQ(
      text,
      R"(14:25:07  rollout 20260131-142507-4f2a: shop-12 from v1.31.4+k3s1 to v1.32.0+k3s1, 2 servers, 1 worker
14:25:08  == Preflight
14:25:09  == Stage release
14:25:10  == Backup before upgrade
14:25:11  == Upgrade servers
14:25:12  s1: install v1.32.0+k3s1
14:25:13  s1: install v1.32.0+k3s1 done: runs v1.32.0+k3s1, k3s was down for 12s
14:25:14  s1: upgraded
14:25:15  s2: install v1.32.0+k3s1
14:25:16  s2: install v1.32.0+k3s1 FAILED: s2: /readyz was not 200 within 5m (look at its journal); the node runs again what it ran before
14:25:17  == Restore from backup: s2: /readyz was not 200 within 5m (look at its journal)
14:25:18  s1: put back
14:25:19  s1: put back done
14:25:20  s1: put back
14:25:21  s2: FAILED: s2: /readyz was not 200 within 5m (look at its journal)
14:25:22  w1: skipped
14:25:23  rollout compensated: s2: /readyz was not 200 within 5m (look at its journal)
)");
  EXPECT_THAT(kept, testing::HasSubstr("s2: install v1.32.0+k3s1 FAILED"));
  EXPECT_THAT(kept, testing::HasSubstr("== Restore from backup"));
  EXPECT_THAT(kept, testing::Not(testing::HasSubstr("s1: upgraded")));
}

TEST(Teller, SaysWhoCommanded) {
  Story story;
  story.TellHalf();
  story.Command(v1::CommandReceived::PAUSE);
  Teller teller(absl::UTCTimeZone());
  auto told = teller.Tell(story.events().back(), story.state());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0].important);
  EXPECT_THAT(Paint(told[0].line, {}), testing::HasSubstr("paused by bob@desk:99"));
}

TEST(Teller, ClaimsAndStagingAreToldOnlyWhenTheyFail) {
  Story story;
  story.Enter(v1::STEP_STAGE_RELEASE);
  v1::OperationSpec stage;
  stage.mutable_stage()->mutable_release()->set_version("v1.32.0+k3s1");
  const uint64_t good = story.Issue("s1", stage);
  const uint64_t bad = story.Issue("s2", stage);
  v1::Outcome outcome;
  outcome.set_code(v1::Outcome::SUCCEEDED);
  story.Settle(good, outcome);
  story.SettleFailed(bad, MakeReason(v1::CHECKSUM_MISMATCH, "s2", "the file's hash is not the release's"));
  Teller teller(absl::UTCTimeZone());
  std::string text;
  for (const v1::Event& event : story.events()) {
    for (const Teller::Told& told : teller.Tell(event, story.state())) text += Paint(told.line, {}) + "\n";
  }
  EXPECT_THAT(text, testing::HasSubstr("s2: stage v1.32.0+k3s1 FAILED: s2: the file's hash"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("s1: stage")));
}

}  // namespace
}  // namespace k3saga::view
