// The driver's promises.
#include "common/reason.h"
#include "tests/unit/coordinator/driver/driver_fixture.h"

namespace k3saga::driver {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(DriverTest, NothingIsSentBeforeItIsDurable) {
  fleet_.on_run = [&] { EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "issued 2")); };
  ASSERT_TRUE(Start({Issue(1, "w3", StageSpec()), Issue(2, "w1", StageSpec())}).ok());
  EXPECT_THAT(Asked(), ElementsAre("w3 1", "w1 2"));
  EXPECT_EQ(journal_.commits, 1);
  EXPECT_EQ(journal_.rollouts[kRollout][0].unix_ms(), loop_.WallUnixMillis());
}

v1::Event GateAsked(uint64_t sequence, const std::string& node) {
  v1::Event event;
  event.mutable_external_gate_asked()->set_sequence(sequence);
  event.mutable_external_gate_asked()->set_before_node(node);
  return event;
}

TEST_F(DriverTest, TheUsersGateIsAskedBesideTheLoop) {
  const std::thread::id loop = std::this_thread::get_id();
  std::thread::id asked;
  gate::Question question;
  ask_gate_ = [&](const v1::ExternalGate&, const gate::Question& about) {
    asked = std::this_thread::get_id();
    question = about;
    return gate::Answer{false, MakeReason(v1::EXTERNAL_GATE_CLOSED, "PodsCrash", "it fires")};
  };
  ASSERT_TRUE(Start({GateAsked(1, "w3")}).ok());
  ASSERT_TRUE(loop_.RunUntil([&] { return seen_.size() == 3; }));
  EXPECT_THAT(Log(), ElementsAre("created", "gate 1", "closed"));
  EXPECT_EQ(driver_->state().gate.reason.subject(), "PodsCrash");
  EXPECT_NE(asked, loop);
  EXPECT_EQ(question.node, "w3");
  EXPECT_EQ(question.rollout, kRollout);
}

TEST_F(DriverTest, TheUsersGateIsAskedAgainByWhoeverGoesOn) {
  int asked = 0;
  ask_gate_ = [&](const v1::ExternalGate&, const gate::Question&) {
    ++asked;
    return gate::Answer{true, {}};
  };
  ASSERT_TRUE(Start({GateAsked(1, "w3")}).ok());
  ASSERT_TRUE(DieAndResume().ok());
  ASSERT_TRUE(loop_.RunUntil([&] { return !seen_.empty() && seen_.back() == "open"; }));
  EXPECT_EQ(asked, 2);
}

TEST_F(DriverTest, WhatCouldNotBeWrittenIsNeverSent) {
  journal_.next_commit = absl::ResourceExhaustedError("disk full");
  EXPECT_EQ(Start({Issue(1, "w3", StageSpec())}).code(), absl::StatusCode::kResourceExhausted);
  loop_.Pass(seconds(1));
  EXPECT_TRUE(fleet_.runs.empty());
  EXPECT_TRUE(seen_.empty());
  ASSERT_EQ(finishes_.size(), 1u);
  EXPECT_EQ(finishes_[0].how, Finish::How::kFailed);
  EXPECT_EQ(finishes_[0].error.code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(DriverTest, AFailedCommitInTheMiddleEndsEverything) {
  ASSERT_TRUE(Start({Issue(1, "w3", StageSpec()), Issue(2, "w1", StageSpec())}).ok());
  journal_.next_commit = absl::InternalError("I/O error");
  next_ = {Issue(3, "w3", StageSpec())};
  Settle(0, v1::Outcome::SUCCEEDED);
  loop_.RunPosted();
  EXPECT_THAT(Asked(), ElementsAre("w3 1", "w1 2"));
  ASSERT_EQ(finishes_.size(), 1u);
  EXPECT_EQ(finishes_[0].how, Finish::How::kFailed);
  // The journal works again: too late, this process does not know any more what it holds.
  Settle(1, v1::Outcome::SUCCEEDED);
  absl::Status answer;
  driver_->Command(v1::CommandReceived::PAUSE, "ann",
                   [&](absl::Status status) { answer = std::move(status); });
  loop_.Pass(seconds(100));
  EXPECT_EQ(answer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "issued 2"));
  EXPECT_EQ(finishes_.size(), 1u);
}

TEST_F(DriverTest, WhatComesInTogetherSharesOneCommitWithWhatFollows) {
  ASSERT_TRUE(Start({Issue(1, "w3", StageSpec()), Issue(2, "w1", StageSpec())}).ok());
  next_ = {Issue(3, "w4", StageSpec())};
  Settle(0, v1::Outcome::SUCCEEDED);
  Settle(1, v1::Outcome::FAILED);
  EXPECT_EQ(journal_.commits, 1);
  loop_.RunPosted();
  EXPECT_EQ(journal_.commits, 2);
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "issued 2", "settled 1 SUCCEEDED", "settled 2 FAILED",
                                 "issued 3"));
  EXPECT_THAT(Asked(), ElementsAre("w3 1", "w1 2", "w4 3"));
  EXPECT_FALSE(*fleet_.runs[0].alive);
}

TEST_F(DriverTest, AskingCarriesNameAuthorityAndTheAgentsJournal) {
  ASSERT_TRUE(Start({Issue(1, "w1", StageSpec())}).ok());
  const v1::RunRequest& request = fleet_.runs[0].request;
  EXPECT_EQ(request.id().rollout(), kRollout);
  EXPECT_EQ(request.id().sequence(), 1u);
  EXPECT_EQ(request.id().attempt(), 1u);
  EXPECT_EQ(request.authority().rollout(), kRollout);
  EXPECT_EQ(request.authority().epoch(), 5u);
  EXPECT_EQ(request.authority().holder(), "ann@laptop:1");
  EXPECT_EQ(request.journal_id(), "journal-of-w1");
}

TEST_F(DriverTest, OnlyServersKeepTheRolloutForAdoptionAndTheJournalHasItOnce) {
  ASSERT_TRUE(StartWithServers({Issue(1, "s1", ClaimSpec()), Issue(2, "w1", ClaimSpec())}).ok());
  v1::RolloutCreated kept;
  ASSERT_TRUE(kept.ParseFromString(fleet_.runs[0].request.spec().claim().rollout_created()));
  EXPECT_EQ(kept.rollout(), kRollout);
  EXPECT_EQ(fleet_.runs[1].request.spec().claim().rollout_created(), "");
  EXPECT_EQ(journal_.rollouts[kRollout][1].issued().spec().claim().rollout_created(), "");
}

TEST_F(DriverTest, ABackupThatIsToBeCopiedCountsOnceItIs) {
  MakeDriver();
  v1::RolloutCreated created = Created();
  created.mutable_plan()->mutable_policies()->mutable_backup()->set_copy_to("/proc/no/such/place");
  v1::OperationSpec spec;
  spec.mutable_backup()->set_name("b1");
  next_ = {Issue(1, "w3", spec)};
  ASSERT_TRUE(driver_->Start(created).ok());
  v1::Outcome taken;
  taken.set_code(v1::Outcome::SUCCEEDED);
  taken.mutable_backup()->set_id("b1");
  fleet_.runs[0].callback.done(taken);
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1"));
  loop_.RunPosted();
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "settled 1 FAILED"));
  EXPECT_THAT(Describe(journal_.rollouts[kRollout][2].settled().outcome().reason()),
              HasSubstr("not copied to /proc/no/such/place"));
}

TEST_F(DriverTest, ABackupIsReadWhereItIsBeforeTheDatastoreGoes) {
  v1::OperationSpec spec;
  spec.mutable_restore_datastore()->set_backup_id("b1");
  ASSERT_TRUE(Start({Issue(1, "w3", spec)}).ok());
  EXPECT_TRUE(fleet_.runs.empty());
  ASSERT_EQ(fleet_.verifications.size(), 1u);
  EXPECT_EQ(fleet_.verifications[0].node, "w3");
  v1::VerifyBackupReply sound;
  sound.set_sound(true);
  fleet_.verifications[0].callback(sound);
  EXPECT_THAT(Asked(), ElementsAre("w3 1"));

  // Again by whoever goes on; nothing is begun with a backup that is of no use.
  ASSERT_TRUE(DieAndResume().ok());
  EXPECT_TRUE(fleet_.runs.empty());
  ASSERT_EQ(fleet_.verifications.size(), 2u);
  fleet_.verifications[1].callback(absl::NotFoundError("no such backup"));
  loop_.RunPosted();
  EXPECT_TRUE(fleet_.runs.empty());
  EXPECT_EQ(Log().back(), "settled 1 FAILED");
  EXPECT_EQ(journal_.rollouts[kRollout].back().settled().outcome().reason().code(), v1::BACKUP_UNUSABLE);
}

TEST_F(DriverTest, AnAgentThatRefusesForALostJournalIsTakenAsItIsNextTime) {
  ASSERT_TRUE(Start({Issue(1, "w1", StageSpec())}).ok());
  next_ = {Issue(2, "w1", StageSpec())};
  v1::Outcome refused;
  refused.set_code(v1::Outcome::REFUSED);
  refused.mutable_reason()->set_code(v1::LOST_OPERATION);
  fleet_.runs[0].callback.done(refused);
  loop_.RunPosted();
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "settled 1 UNKNOWN", "issued 2"));
  EXPECT_EQ(fleet_.runs[1].request.journal_id(), "");
}

TEST_F(DriverTest, ABreakIsRiddenOutAndTheDeadlineSettlesAsUnknown) {
  ASSERT_TRUE(Start({Issue(1, "w1", StageSpec())}).ok());
  fleet_.runs[0].callback.done(absl::UnavailableError("reset"));
  loop_.Pass(seconds(1));
  EXPECT_THAT(Asked(), ElementsAre("w1 1", "w1 1"));
  EXPECT_THAT(progress_, ElementsAre("w1 1 reconnecting"));
  loop_.Pass(seconds(60));
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "settled 1 UNKNOWN"));
}

TEST_F(DriverTest, TimersFireAndAfterADeathCountInFullAgain) {
  ASSERT_TRUE(Start({Timer(1, 1'000)}).ok());
  loop_.Pass(milliseconds(900));
  ASSERT_TRUE(DieAndResume().ok());
  loop_.Pass(milliseconds(900));
  EXPECT_THAT(Log(), ElementsAre("created", "timer 1", "resumed 6"));
  loop_.Pass(milliseconds(100));
  EXPECT_THAT(Log(), ElementsAre("created", "timer 1", "resumed 6", "fired 1"));
}

TEST_F(DriverTest, AProbeRoundBecomesOneProof) {
  ASSERT_TRUE(StartWithServers({Probe(1, true)}).ok());
  ASSERT_EQ(fleet_.probes.size(), 2u);
  EXPECT_EQ(fleet_.probes[0].request.authority().epoch(), 5u);
  v1::ServerProof proof;
  proof.set_ready(true);
  proof.add_nodes()->set_name("w1");
  fleet_.probes[0].callback(proof);
  fleet_.probes[1].callback(absl::DeadlineExceededError("too late"));
  loop_.RunPosted();
  EXPECT_THAT(Log(), ElementsAre("created", "probe 1", "proved 1"));
  const v1::GateProved& proved = journal_.rollouts[kRollout][2].gate_proved();
  ASSERT_EQ(proved.servers_size(), 2);
  EXPECT_EQ(proved.servers(0).node(), "s1");
  EXPECT_TRUE(proved.servers(0).reachable());
  EXPECT_EQ(proved.servers(0).nodes_size(), 0);
  EXPECT_FALSE(proved.servers(1).reachable());
  ASSERT_EQ(proved.nodes_size(), 1);
  EXPECT_EQ(proved.nodes(0).name(), "w1");
}

TEST_F(DriverTest, ACommandIsAcknowledgedOnceItIsDurable) {
  ASSERT_TRUE(Start({Issue(1, "w3", StageSpec())}).ok());
  bool acknowledged = false;
  driver_->Command(v1::CommandReceived::PAUSE, "ann", [&](const absl::Status& status) {
    EXPECT_TRUE(status.ok());
    EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "command PAUSE"));
    acknowledged = true;
  });
  EXPECT_FALSE(acknowledged);
  loop_.RunPosted();
  EXPECT_TRUE(acknowledged);
  EXPECT_TRUE(driver_->state().paused);
}

TEST_F(DriverTest, ACommandThatWasNotWrittenIsNotAcknowledged) {
  ASSERT_TRUE(Start({}).ok());
  journal_.next_commit = absl::ResourceExhaustedError("disk full");
  absl::Status answer;
  driver_->Command(v1::CommandReceived::ABORT, "ann",
                   [&](absl::Status status) { answer = std::move(status); });
  loop_.RunPosted();
  EXPECT_EQ(answer.code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(DriverTest, ACommandThatNobodyKnowsIsItsSendersError) {
  ASSERT_TRUE(Start({}).ok());
  absl::Status answer;
  driver_->Command(v1::CommandReceived::COMMAND_UNSPECIFIED, "ann",
                   [&](absl::Status status) { answer = std::move(status); });
  loop_.RunPosted();
  EXPECT_EQ(answer.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Log(), ElementsAre("created"));
  EXPECT_TRUE(finishes_.empty());
}

TEST_F(DriverTest, PausedItGoesHomeWhenTheLastOperationIsDone) {
  ASSERT_TRUE(Start({Issue(1, "w3", StageSpec()), Issue(2, "w1", StageSpec())}).ok());
  driver_->Command(v1::CommandReceived::PAUSE, "ann", nullptr);
  loop_.RunPosted();
  Settle(0, v1::Outcome::SUCCEEDED);
  loop_.RunPosted();
  EXPECT_TRUE(finishes_.empty());
  Settle(1, v1::Outcome::SUCCEEDED);
  loop_.RunPosted();
  ASSERT_EQ(finishes_.size(), 1u);
  EXPECT_EQ(finishes_[0].how, Finish::How::kPaused);
  // Somebody resumes while it is still there, and pauses again.
  driver_->Command(v1::CommandReceived::RESUME, "ann", nullptr);
  loop_.RunPosted();
  EXPECT_EQ(finishes_.size(), 1u);
  driver_->Command(v1::CommandReceived::PAUSE, "ann", nullptr);
  loop_.RunPosted();
  EXPECT_EQ(finishes_.size(), 2u);
}

TEST_F(DriverTest, TheEndIsReportedOnceAndNothingFollows) {
  ASSERT_TRUE(Start({Issue(1, "w3", StageSpec()), Timer(2, 1'000)}).ok());
  next_ = {End()};
  Settle(0, v1::Outcome::SUCCEEDED);
  loop_.Pass(seconds(10));
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "timer 2", "settled 1 SUCCEEDED", "ended"));
  ASSERT_EQ(finishes_.size(), 1u);
  EXPECT_EQ(finishes_[0].how, Finish::How::kEnded);
  EXPECT_EQ(loop_.timers(), 0u);
}

TEST_F(DriverTest, ADecisionThatDoesNotFoldOrNeverEndsIsNotWritten) {
  EXPECT_EQ(Start({Issue(7, "w3", StageSpec())}).code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(Log().empty());
  const Services services{loop_,
                          loop_,
                          journal_,
                          fleet_,
                          [] { return uint64_t{0}; },
                          [](const core::State& state) {
                            return std::vector<v1::Event>{Timer(state.next_sequence, 1), [] {
                                                            v1::Event held;
                                                            held.mutable_held();
                                                            return held;
                                                          }()};
                          }};
  driver_ = std::make_unique<Driver>(services, std::vector<Observer*>{}, [](const Finish&) {});
  EXPECT_EQ(driver_->Start(Created()).code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(Log().empty());
  EXPECT_TRUE(fleet_.runs.empty());
}

TEST_F(DriverTest, DestroyedItLeavesTheLoopAndTheFleetInPeace) {
  ASSERT_TRUE(Start({Issue(1, "w3", StageSpec()), Timer(2, 1'000), Probe(3, false)}).ok());
  Settle(0, v1::Outcome::SUCCEEDED);
  driver_.reset();
  loop_.Pass(seconds(100));
  for (const auto& run : fleet_.runs) EXPECT_FALSE(*run.alive);
  for (const auto& probe : fleet_.probes) EXPECT_FALSE(*probe.alive);
  EXPECT_EQ(loop_.timers(), 0u);
  EXPECT_THAT(Log(), ElementsAre("created", "issued 1", "timer 2", "probe 3"));
}

}  // namespace
}  // namespace k3saga::driver
