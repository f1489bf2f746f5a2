// Going on with a rollout that another process began, or that another machine has to take over.
#include "common/reason.h"
#include "tests/unit/coordinator/driver/driver_fixture.h"

namespace k3saga::driver {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

v1::RolloutAdopted AdoptedAs(uint64_t epoch) {
  v1::RolloutAdopted adopted;
  adopted.set_holder("bob@desk:2");
  adopted.set_epoch(epoch);
  for (const char* name : {"w1", "w2", "w3", "w4"}) {
    v1::AdoptedNode& node = *adopted.add_nodes();
    node.set_node(name);
    node.set_found(v1::AdoptedNode::AS_PLANNED);
    node.set_journal_id(absl::StrCat("new-journal-of-", name));
  }
  return adopted;
}

TEST_F(DriverTest, AnAdoptedRolloutBeginsWithWhatTheAgentsSaid) {
  MakeDriver();
  next_ = {Issue(core::FirstSequence(9), "w1", StageSpec())};
  ASSERT_TRUE(driver_->Adopt(Created(), AdoptedAs(9)).ok());
  EXPECT_THAT(Log(), ElementsAre("created", "adopted 9", absl::StrCat("issued ", core::FirstSequence(9))));
  EXPECT_EQ(journal_.commits, 1) << "all of it or nothing";
  ASSERT_EQ(fleet_.runs.size(), 1u);
  EXPECT_EQ(fleet_.runs[0].request.authority().epoch(), 9u);
  EXPECT_EQ(fleet_.runs[0].request.authority().holder(), "bob@desk:2");
  EXPECT_EQ(fleet_.runs[0].request.journal_id(), "new-journal-of-w1");
}

TEST_F(DriverTest, AJournalThatIsBehindGoesOnWithWhatTheAgentsSaid) {
  ASSERT_TRUE(Start({Issue(1, "w1", StageSpec())}).ok());
  driver_.reset();
  fleet_.runs.clear();
  seen_.clear();
  MakeDriver();
  ASSERT_TRUE(driver_->Adopt(Created(), AdoptedAs(9)).ok());
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "adopted 9"));
  EXPECT_TRUE(fleet_.runs.empty()) << "what was open is not asked for again";
}

TEST_F(DriverTest, AfterADeathOpenOperationsAreAskedForAgainByTheirNames) {
  ASSERT_TRUE(
      Start({Issue(1, "w3", StageSpec()), Issue(2, "w1", StageSpec()), Issue(3, "w2", StageSpec())}).ok());
  Settle(1, v1::Outcome::SUCCEEDED);
  loop_.RunPosted();
  ASSERT_TRUE(DieAndResume().ok());
  EXPECT_THAT(Asked(), ElementsAre("w3 1", "w2 3"));
  EXPECT_EQ(fleet_.runs[0].request.authority().epoch(), 6u);
  EXPECT_EQ(fleet_.runs[0].request.authority().holder(), "bob@desk:2");
  EXPECT_THAT(Log(),
              ElementsAre("created", "issued 1", "issued 2", "issued 3", "settled 2 SUCCEEDED", "resumed 6"));
  // And once more: nothing is forgotten, nothing asked twice at a time.
  Settle(0, v1::Outcome::SUCCEEDED);
  loop_.RunPosted();
  ASSERT_TRUE(DieAndResume().ok());
  EXPECT_THAT(Asked(), ElementsAre("w2 3"));
  EXPECT_EQ(driver_->state().epoch, 7u);
}

TEST_F(DriverTest, AResumedCoordinatorAsksForNothingUntilEveryServerHasAcknowledgedIt) {
  ASSERT_TRUE(StartWithServers({Issue(1, "s1", ClaimSpec()), Issue(2, "s2", ClaimSpec())}).ok());
  next_ = {Issue(3, "w1", StageSpec())};
  Settle(0, v1::Outcome::SUCCEEDED);
  Settle(1, v1::Outcome::SUCCEEDED);
  loop_.RunPosted();
  EXPECT_THAT(Asked(), ElementsAre("s1 1", "s2 2", "w1 3"));

  ASSERT_TRUE(DieAndResume().ok());
  EXPECT_TRUE(fleet_.runs.empty());
  const uint64_t first = driver_->state().next_sequence;
  next_ = {Issue(first, "s1", ClaimSpec()), Issue(first + 1, "s2", ClaimSpec())};
  driver_->Command(v1::CommandReceived::RESUME, "bob", nullptr);
  loop_.RunPosted();
  ASSERT_EQ(fleet_.runs.size(), 2u);
  Settle(0, v1::Outcome::SUCCEEDED);
  loop_.RunPosted();
  ASSERT_EQ(fleet_.runs.size(), 2u);
  Settle(1, v1::Outcome::SUCCEEDED);
  loop_.RunPosted();
  ASSERT_EQ(fleet_.runs.size(), 3u);
  EXPECT_EQ(fleet_.runs[2].request.id().sequence(), 3u);
  EXPECT_EQ(fleet_.runs[2].request.authority().epoch(), 6u);
}

TEST_F(DriverTest, WhatMayNotBeAskedForInTimeIsUnknown) {
  ASSERT_TRUE(StartWithServers({Issue(1, "w1", StageSpec())}).ok());
  loop_.Pass(seconds(60));
  EXPECT_TRUE(fleet_.runs.empty());
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "settled 1 UNKNOWN"));
  EXPECT_EQ(journal_.rollouts[kRollout][2].settled().outcome().reason().code(), v1::CLAIM_MISSING);
  EXPECT_EQ(loop_.timers(), 0u);
}

TEST_F(DriverTest, ResumeTakesAnEpochThatNobodyHasSeen) {
  ASSERT_TRUE(Start({}).ok());
  driver_.reset();
  seen_.clear();
  MakeDriver();
  ASSERT_TRUE(driver_->Resume(kRollout, "bob@desk:2", 40).ok());
  EXPECT_EQ(driver_->state().epoch, 40u);
}

TEST_F(DriverTest, ResumeNeedsARolloutThatHasNotEnded) {
  MakeDriver();
  EXPECT_EQ(driver_->Resume("20260101-000000-0000", "bob", 0).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Start({End()}).ok());
  EXPECT_EQ(DieAndResume().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Log(), ElementsAre("created", "ended"));
}

TEST_F(DriverTest, AJournalThatDoesNotFoldIsLeftAlone) {
  ASSERT_TRUE(Start({}).ok());
  journal_.rollouts[kRollout].push_back(Issue(9, "w3", StageSpec()));
  const absl::Status status = DieAndResume();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("event 2"));
  EXPECT_THAT(Log(), ElementsAre("created", "issued 9"));
}

TEST_F(DriverTest, ALostAgentJournalIsRememberedAcrossADeath) {
  ASSERT_TRUE(Start({Issue(1, "w1", StageSpec())}).ok());
  next_ = {Issue(2, "w1", StageSpec())};
  v1::RunReply::Accepted another;
  another.set_journal_id("another-journal");
  fleet_.runs[0].callback.accepted(another);
  loop_.RunPosted();
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "settled 1 UNKNOWN", "issued 2"));
  EXPECT_EQ(fleet_.runs[1].request.journal_id(), "another-journal");
  ASSERT_TRUE(DieAndResume().ok());
  ASSERT_THAT(Asked(), ElementsAre("w1 2"));
  EXPECT_EQ(fleet_.runs[0].request.journal_id(), "another-journal");
}

}  // namespace
}  // namespace k3saga::driver
