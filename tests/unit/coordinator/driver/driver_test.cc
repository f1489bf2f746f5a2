// The driver's promises, with the saga's decisions scripted by the test: a decider here says what is next,
// once.
#include "coordinator/driver/driver.h"

#include "common/reason.h"
#include "tests/unit/coordinator/fleet/fake_fleet.h"
#include "tests/unit/coordinator/journal/fake_journal.h"
#include "tests/unit/coordinator/manual_loop.h"

namespace k3saga::driver {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kRollout[] = "20260131-142507-4f2a";

// Without servers nothing waits for their claims.
v1::RolloutCreated Created(const std::vector<std::string>& nodes = {"w1", "w2", "w3", "w4"}) {
  v1::RolloutCreated created;
  created.set_rollout(kRollout);
  created.set_holder("ann@laptop:1");
  created.set_epoch(5);
  created.mutable_plan()->set_cluster("shop-12");
  for (const std::string& name : nodes) {
    v1::PlannedNode& node = *created.mutable_plan()->add_nodes();
    node.set_name(name);
    node.set_role(name[0] == 's' ? v1::ROLE_SERVER : v1::ROLE_WORKER);
    node.set_journal_id(absl::StrCat("journal-of-", name));
  }
  return created;
}

v1::Event Issue(uint64_t sequence, const std::string& node, v1::OperationSpec spec) {
  v1::Event event;
  v1::OperationIssued& issued = *event.mutable_issued();
  issued.set_sequence(sequence);
  issued.set_attempt(1);
  issued.set_node(node);
  issued.set_asked_of(node);
  issued.set_deadline_seconds(60);
  *issued.mutable_spec() = std::move(spec);
  return event;
}
v1::OperationSpec StageSpec() {
  v1::OperationSpec spec;
  spec.mutable_stage();
  return spec;
}
v1::OperationSpec ClaimSpec() {
  v1::OperationSpec spec;
  spec.mutable_claim()->set_holder("ann@laptop:1");
  return spec;
}
v1::Event Timer(uint64_t sequence, uint32_t ms) {
  v1::Event event;
  event.mutable_timer_set()->set_sequence(sequence);
  event.mutable_timer_set()->set_milliseconds(ms);
  return event;
}
v1::Event Probe(uint64_t sequence, bool with_nodes) {
  v1::Event event;
  event.mutable_probe_issued()->set_sequence(sequence);
  event.mutable_probe_issued()->set_with_nodes(with_nodes);
  return event;
}
v1::Event End() {
  v1::Event event;
  event.mutable_ended()->set_result(v1::RolloutEnded::SUCCEEDED);
  return event;
}

std::string Name(const v1::Event& event) {
  switch (event.body_case()) {
    case v1::Event::kCreated:
      return "created";
    case v1::Event::kResumed:
      return absl::StrCat("resumed ", event.resumed().epoch());
    case v1::Event::kAdopted:
      return absl::StrCat("adopted ", event.adopted().epoch());
    case v1::Event::kCommand:
      return absl::StrCat("command ", v1::CommandReceived::Command_Name(event.command().command()));
    case v1::Event::kIssued:
      return absl::StrCat("issued ", event.issued().sequence());
    case v1::Event::kSettled:
      return absl::StrCat("settled ", event.settled().sequence(), " ",
                          v1::Outcome::Code_Name(event.settled().outcome().code()));
    case v1::Event::kProbeIssued:
      return absl::StrCat("probe ", event.probe_issued().sequence());
    case v1::Event::kGateProved:
      return absl::StrCat("proved ", event.gate_proved().sequence());
    case v1::Event::kTimerSet:
      return absl::StrCat("timer ", event.timer_set().sequence());
    case v1::Event::kTimerFired:
      return absl::StrCat("fired ", event.timer_fired().sequence());
    case v1::Event::kExternalGateAsked:
      return absl::StrCat("gate ", event.external_gate_asked().sequence());
    case v1::Event::kExternalGateAnswered:
      return event.external_gate_answered().open() ? "open" : "closed";
    case v1::Event::kEnded:
      return "ended";
    default:
      return "?";
  }
}

class DriverTest : public testing::Test, protected Observer {
 protected:
  void MakeDriver() {
    Services services{loop_,
                      loop_,
                      journal_,
                      fleet_,
                      [] { return uint64_t{0}; },
                      [this](const core::State&) { return std::exchange(next_, {}); }};
    services.ask_gate = ask_gate_;
    driver_ = std::make_unique<Driver>(services, std::vector<Observer*>{this},
                                       [this](const Finish& finish) { finishes_.push_back(finish); });
  }
  absl::Status Start(std::vector<v1::Event> first) {
    MakeDriver();
    next_ = std::move(first);
    return driver_->Start(Created());
  }
  absl::Status StartWithServers(std::vector<v1::Event> first) {
    MakeDriver();
    next_ = std::move(first);
    return driver_->Start(Created({"s1", "s2", "w1"}));
  }
  // As when the process died: what was in flight is forgotten, the journal is what it is.
  absl::Status DieAndResume() {
    driver_.reset();
    fleet_.runs.clear();
    fleet_.probes.clear();
    seen_.clear();
    MakeDriver();
    return driver_->Resume(kRollout, "bob@desk:2", 0);
  }
  void Settle(size_t run, v1::Outcome::Code code, const std::string& journal = "") {
    auto& asked = fleet_.runs[run];
    if (!journal.empty()) {
      v1::RunReply::Accepted accepted;
      accepted.set_journal_id(journal);
      asked.callback.accepted(accepted);
    }
    v1::Outcome outcome;
    outcome.set_code(code);
    asked.callback.done(outcome);
  }
  std::vector<std::string> Log() const {
    std::vector<std::string> names;
    const auto found = journal_.rollouts.find(kRollout);
    if (found == journal_.rollouts.end()) return names;
    for (const v1::Event& event : found->second) names.push_back(Name(event));
    return names;
  }
  std::vector<std::string> Asked() const {
    std::vector<std::string> names;
    for (const auto& run : fleet_.runs)
      names.push_back(absl::StrCat(run.node, " ", run.request.id().sequence()));
    return names;
  }

  void OnEvents(uint64_t first, const std::vector<v1::Event>& events, const core::State& state) override {
    EXPECT_EQ(first, seen_.size() + 1);
    for (const v1::Event& event : events) seen_.push_back(Name(event));
    EXPECT_EQ(state.events, seen_.size());
    EXPECT_EQ(seen_, Log()) << "shown before it was durable";
  }
  void OnProgress(uint64_t sequence, const std::string& node, const v1::Progress& progress) override {
    progress_.push_back(absl::StrCat(node, " ", sequence, " ", progress.phase()));
  }

  ManualLoop loop_;
  journal::FakeJournal journal_;
  fleet::FakeFleet fleet_;
  AskGate ask_gate_ = gate::Ask;
  std::vector<v1::Event> next_;
  std::unique_ptr<Driver> driver_;
  std::vector<Finish> finishes_;
  std::vector<std::string> seen_;
  std::vector<std::string> progress_;
};

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
