#include "coordinator/core/adopt.h"

#include "tests/unit/core/agents.h"

// Whoever adopted it goes on.
namespace k3saga::core {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST(Adopt, GoesOnWhereItStoodAndRepeatsNothing) {
  Agents agents;
  agents.BackedUp();
  agents.Installed("s2");
  agents.Installed("s3");
  agents.CordonedByUs(3);  // w1: the coordinator died between cordon and drain
  Stage stage = agents.Continue();
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"backup"}), IsEmpty());
  EXPECT_THAT(stage.Issued({"install"}), ElementsAre("install s1", "install w1", "install w2"));
  EXPECT_THAT(stage.Issued({"cordon"}), ElementsAre("cordon w2"));
  EXPECT_THAT(stage.Issued({"uncordon"}), Contains("uncordon w1"));
  EXPECT_GT(stage.state().next_sequence, FirstSequence(6)) << "no name is given twice";
}

TEST(Adopt, TakesTheBackupThatIsMissing) {
  Agents agents;
  Stage stage = agents.Continue();
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"backup"}), SizeIs(1));
}

TEST(Adopt, AServerThatFailedIsCompensatedNewestFirst) {
  Agents agents;
  agents.BackedUp();
  agents.Installed("s3");
  agents.Installed("s2");
  agents.Did("s1", Agents::Install(), Failed(v1::API_NOT_READY, v1::Outcome::PUT_BACK));
  Stage stage = agents.Continue();
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::COMPENSATED);
  EXPECT_THAT(stage.Issued({"install", "put_back"}), ElementsAre("put_back s2", "put_back s3"));
  EXPECT_EQ(stage.state().end_reason.code(), v1::API_NOT_READY);
}

TEST(Adopt, AWayBackThatWasBegunIsFinished) {
  Agents agents;
  agents.BackedUp();
  agents.Installed("s3");
  agents.Installed("s2");
  agents.Did("s1", Agents::Install(), Failed(v1::API_NOT_READY, v1::Outcome::PUT_BACK));
  v1::Outcome back;
  back.set_code(v1::Outcome::SUCCEEDED);
  back.set_node_state(v1::Outcome::PUT_BACK);
  agents.Did("s2", Agents::PutBack(), back);
  agents.Runs("s2", kFrom);
  Stage stage = agents.Continue();
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::COMPENSATED);
  EXPECT_THAT(stage.Issued({"install", "put_back"}), ElementsAre("put_back s3"));
  EXPECT_EQ(stage.state().end_reason.code(), v1::API_NOT_READY) << "what it was for, not that it was";
}

TEST(Adopt, NoWayBackOnceEveryServerHadMoved) {
  Agents agents;
  agents.BackedUp();
  for (const char* server : {"s2", "s3", "s1"}) agents.Installed(server);
  EXPECT_TRUE(agents.Adopt().adopted.past_return());
  Stage stage = agents.Continue();
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"install"}), ElementsAre("install w1", "install w2"));
}

// The install that still runs is asked for again: its agent says busy until it has settled, then "already".
TEST(Adopt, WhatStillRunsIsWaitedFor) {
  Agents agents;
  agents.BackedUp();
  agents.Did("s2", Agents::Install());
  Stage stage = agents.Continue();
  int busy = 3;
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    const bool its = issued.spec().has_install() && issued.node() == "s2";
    if (its && busy-- > 0) return Refused(v1::BUSY);
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_EQ(stage.Issued({"install"}).front(), "install s2") << "before any other server";
}

TEST(Adopt, WhatMayBeHalfWayGoesBeforeWhatWasOnlyCordoned) {
  Agents agents;
  agents.BackedUp();
  agents.CordonedByUs(2);  // s3, by one coordinator; another had asked s2 for its install
  agents.Did("s2", Agents::Install());
  Stage stage = agents.Continue();
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_EQ(stage.Issued({"install"}).front(), "install s2");
}

// Neither may be touched while the other may be down: waited for, but not for ever.
TEST(Adopt, TwoServersThatMayBeHalfWayStopTheRollout) {
  Agents agents;
  agents.BackedUp();
  agents.Did("s2", Agents::Install());
  agents.Did("s3", Agents::Install());
  Stage stage = agents.Continue();
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::ANOTHER_SERVER_OPEN);
  EXPECT_THAT(stage.Issued({"install"}), IsEmpty());
}

TEST(Adopt, ARemedyThatCannotBeAppliedStopsAlsoWhereAServerMayBeHalfWay) {
  Agents agents;
  agents.created().mutable_plan()->add_remedies()->set_trouble("renamed-role");
  agents.BackedUp();
  agents.Did("s2", Agents::Install());
  Stage stage = agents.Continue();
  stage.script = [](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_apply_manifests()) return Failed(v1::API_NOT_READY);
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::REMEDY_FAILED);
  EXPECT_THAT(stage.Issued({"install"}), IsEmpty());
}

// s1 and w1 are back already, s2 and s3 and w2 are not.
TEST(Adopt, ARollbackByBinariesGoesOn) {
  Agents agents;
  v1::Plan& plan = *agents.created().mutable_plan();
  plan.set_kind(v1::Plan::ROLLBACK);
  plan.set_from_version(kTo);
  plan.set_to_version(kFrom);
  uint32_t moved = 0;
  for (v1::PlannedNode& node : *plan.mutable_nodes()) {
    node.set_from_version(kTo);
    node.set_to_version(kFrom);
    node.set_moved_as(++moved);
    agents.Runs(node.name(), kTo);
  }
  v1::Outcome back;
  back.set_code(v1::Outcome::SUCCEEDED);
  back.set_node_state(v1::Outcome::PUT_BACK);
  for (const char* name : {"w1", "w2"}) {
    agents.Did(name, Agents::PutBack(), back);
    agents.Runs(name, kFrom);
  }
  agents.Did("s3", Agents::PutBack(), back);
  agents.Runs("s3", kFrom);
  EXPECT_FALSE(agents.Adopt().adopted.has_ends());
  Stage stage = agents.Continue();
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"install", "put_back"}), ElementsAre("put_back s2", "put_back s1"));
}

TEST(Adopt, ADatastoreOnItsWayBackIsOnlyEndedAndTheClusterIsFree) {
  struct Case {
    const char* what;
    std::function<void(Agents&)> happened;
  };
  const Case cases[] = {
      {"by plan",
       [](Agents& a) {
         a.created().mutable_plan()->set_kind(v1::Plan::RESTORE);
         a.created().mutable_plan()->mutable_restore_from()->set_id("b1");
       }},
      {"as an upgrade's compensation",
       [](Agents& a) {
         v1::OperationSpec stop;
         stop.mutable_stop();
         a.Did("s2", stop);
       }},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    Agents agents;
    one.happened(agents);
    Stage stage = agents.Continue();
    stage.Play();
    EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
    EXPECT_EQ(stage.state().end_reason.code(), v1::LOST_OPERATION);
    EXPECT_THAT(stage.Issued({"install", "put_back", "stop", "restore_datastore"}), IsEmpty());
    EXPECT_THAT(stage.Issued({"release_claim"}), SizeIs(5));
  }
}

TEST(Adopt, AWorkerThatDoesNotAnswerIsNotBegun) {
  Agents agents;
  agents.BackedUp();
  agents["w1"].facts.clear_journal_id();
  Stage stage = agents.Continue();
  stage.script = [](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_claim() && issued.node() == "w1") return Unknown();
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_THAT(stage.Issued({"cordon"}), Not(Contains("cordon w1")));
}

TEST(Adopt, ComesAfterAnOlderJournalOfTheSameRollout) {
  Agents agents;
  agents.BackedUp();
  Stage stage(agents.created());
  stage.script = [](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_install()) return std::nullopt;
    return Succeeded(issued);
  };
  stage.Play();
  ASSERT_FALSE(stage.state().open_operations.empty());
  agents.Installed("s2");
  agents.Installed("s3");
  v1::Event event;
  *event.mutable_adopted() = agents.Adopt().adopted;
  stage.Feed(std::move(event));
  stage.script = nullptr;
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_EQ(stage.Issued({"install"}).size(), 1u + 3u) << "s1, w1, w2 besides the one that was open";
}

TEST(Adopt, TheFoldRefusesWhatCannotBe) {
  Agents agents;
  const v1::RolloutAdopted good = agents.Adopt().adopted;
  const auto refused = [&](const std::function<void(v1::RolloutAdopted&)>& spoil) {
    State state;
    v1::Event event;
    *event.mutable_created() = agents.created();
    EXPECT_TRUE(Apply(event, state).ok());
    *event.mutable_adopted() = good;
    spoil(*event.mutable_adopted());
    return !Apply(event, state).ok() && state.events == 1;
  };
  EXPECT_FALSE(refused([](v1::RolloutAdopted&) {}));
  EXPECT_TRUE(refused([](v1::RolloutAdopted& adopted) { adopted.set_epoch(1); }));
  EXPECT_TRUE(refused([](v1::RolloutAdopted& adopted) { adopted.mutable_nodes()->RemoveLast(); }));
  EXPECT_TRUE(refused([](v1::RolloutAdopted& adopted) { adopted.mutable_nodes(0)->set_node("w9"); }));
  EXPECT_TRUE(refused([](v1::RolloutAdopted& adopted) { adopted.mutable_nodes(0)->set_node("s2"); }));
}

}  // namespace
}  // namespace k3saga::core
