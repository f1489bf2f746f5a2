#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/plans.h"
#include "tests/unit/core/stage.h"

// Whole rollouts: what is asked of whom in which order, and how it ends. What fails stands in
// rollout_failure_test.cc.
namespace k3saga::core {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Rollout, GoodCase) {
  Stage stage(MakeRollout(3, 1));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  // s1 leads, so it goes last, after its leadership was moved.
  EXPECT_THAT(stage.Issued(),
              ElementsAre("backup s2", "install s2", "await_node s2", "install s3", "await_node s3",
                          "move_leader s1", "install s1", "await_node s1", "cordon w1", "drain w1",
                          "install w1", "await_node w1", "uncordon w1"));
  EXPECT_TRUE(stage.state().past_return);
  EXPECT_TRUE(stage.state().quiet());
  EXPECT_EQ(stage.Issued({"claim"}).size(), 4u);
  EXPECT_EQ(stage.Issued({"release_claim"}).size(), 4u);
}

TEST(Rollout, InstallersMayChangeWhatTheUserAgreedTo) {
  for (const bool agreed : {false, true}) {
    v1::RolloutCreated created = MakeRollout(1, 1);
    created.mutable_plan()->mutable_release()->set_allow_changed_configuration(agreed);
    Stage stage(created);
    size_t installs = 0;
    stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
      if (issued.spec().has_install()) {
        ++installs;
        EXPECT_EQ(issued.spec().install().allow_changed_configuration(), agreed);
      }
      return Succeeded(issued);
    };
    stage.Play();
    EXPECT_EQ(installs, 2u);
  }
}

TEST(Rollout, FoldOfTheLogIsTheState) {
  Stage stage(MakeRollout(3, 4));
  stage.Play();
  State replayed;
  for (const v1::Event& event : stage.log()) ASSERT_TRUE(Apply(event, replayed).ok());
  EXPECT_EQ(replayed.events, stage.state().events);
  EXPECT_EQ(replayed.next_sequence, stage.state().next_sequence);
  EXPECT_EQ(replayed.result, stage.state().result);
}

TEST(Rollout, OneServerGoesWithConsent) {
  Stage stage(MakeRollout(1, 1));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"move_leader"}), IsEmpty());
}

TEST(Rollout, PauseLetsWhatRunsFinishAndResumeGoesOn) {
  Stage stage(MakeRollout(3, 2));
  bool paused = false;
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_install() && issued.node() == "s3" && !paused) {
      paused = true;
      return std::nullopt;  // the user pauses while it runs
    }
    return Succeeded(issued);
  };
  stage.Play();
  stage.Command(v1::CommandReceived::PAUSE);
  stage.Play();
  EXPECT_TRUE(stage.state().quiet());
  EXPECT_EQ(ResultOf(stage, "s3"), v1::NodeFinished::UPGRADED);
  ASSERT_EQ(stage.state().held.size(), 1u);
  EXPECT_EQ(stage.state().held[0].code(), v1::PAUSED_BY_USER);
  EXPECT_THAT(stage.Issued({"install"}), ElementsAre("install s2", "install s3"));
  stage.Command(v1::CommandReceived::RESUME);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
}

TEST(Rollout, AbortUndoesWhatWasOnlyBegun) {
  Stage stage(MakeRollout(3, 4));
  bool aborted = false;
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_drain() && !aborted) return std::nullopt;
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().tally.workers_in_flight, 2u);
  aborted = true;
  stage.Command(v1::CommandReceived::ABORT);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::ABORTED_BY_USER);
  EXPECT_THAT(stage.Issued({"uncordon"}), ElementsAre("uncordon w1", "uncordon w2"));
  EXPECT_EQ(ResultOf(stage, "w1"), v1::NodeFinished::SKIPPED);
  EXPECT_THAT(stage.Issued({"install"}), ElementsAre("install s2", "install s3", "install s1"));
}

TEST(Rollout, ResumedUnderAHigherEpochClaimsAgainBeforeItTouches) {
  Stage stage(MakeRollout(3, 1));
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_install() && stage.state().epoch == 1) return std::nullopt;
    return Succeeded(issued);
  };
  stage.Play();
  v1::Event resumed;
  resumed.mutable_resumed()->set_epoch(2);
  resumed.mutable_resumed()->set_holder("ada@laptop:7");
  stage.Feed(resumed);
  EXPECT_EQ(stage.state().open_operations.size(), 5u);  // the install, attached to, and four claims
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_EQ(stage.Issued({"claim"}).size(), 8u);
  EXPECT_EQ(stage.Issued({"install"}).size(), 4u);
}

TEST(Rollout, GateThatStaysClosedStops) {
  Stage stage(MakeRollout(3, 1));
  stage.spoil = [](v1::GateProved& proved) { proved.mutable_servers(2)->add_alarms("NOSPACE"); };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::MEMBER_ALARM);
  EXPECT_EQ(stage.state().end_reason.subject(), "s3");
  EXPECT_THAT(stage.Issued(kTouches), IsEmpty());
}

TEST(Rollout, ServerThatCrashesUntilItIsMovedGoesNext) {
  Stage stage(MakeRollout(3, 0));
  stage.spoil = [&](v1::GateProved& proved) {
    // Since s2 was moved, s1 (the leader) is another process at every look.
    if (!stage.state().Find("s2")->moved() || stage.state().Find("s1")->moved()) return;
    proved.mutable_servers(0)->set_main_pid(static_cast<uint32_t>(proved.sequence() + 5000));
    proved.mutable_servers(0)->set_ready_for_ms(500);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"install"}), ElementsAre("install s2", "install s1", "install s3"));
}

TEST(Rollout, MovedServerThatCrashesIsWaitedForAndThenStops) {
  Stage stage(MakeRollout(3, 0));
  stage.spoil = [&](v1::GateProved& proved) {
    if (!stage.state().Find("s2")->moved()) return;
    proved.mutable_servers(1)->set_main_pid(static_cast<uint32_t>(proved.sequence() + 5000));
    proved.mutable_servers(1)->set_ready_for_ms(500);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::SERVER_RESTARTED);
  EXPECT_THAT(stage.Issued({"install"}), ElementsAre("install s2"));
}

TEST(Rollout, NodesAtTheTargetAreVerifiedAndNotInstalled) {
  v1::RolloutCreated created = MakeRollout(3, 2);
  for (const int i : {0, 1, 3}) created.mutable_plan()->mutable_nodes(i)->set_at_target(true);
  created.mutable_plan()->mutable_nodes(3)->set_left_cordoned(true);
  Stage stage(created);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"install"}), ElementsAre("install s3", "install w2"));
  EXPECT_EQ(ResultOf(stage, "s1"), v1::NodeFinished::UNCHANGED);
  // What an earlier rollout left cordoned is taken over and undone.
  EXPECT_THAT(stage.Issued({"cordon"}), Contains("cordon w1"));
  EXPECT_THAT(stage.Issued({"uncordon"}), Contains("uncordon w1"));
}

TEST(Rollout, CordonsOfTheUserStay) {
  v1::RolloutCreated created = MakeRollout(3, 2);
  created.mutable_plan()->mutable_nodes(3)->set_was_cordoned(true);
  Stage stage(created);
  stage.script = [](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    v1::Outcome outcome = Succeeded(issued);
    if (issued.spec().has_cordon()) outcome.mutable_cordon()->set_cordoned_before(true);
    return outcome;
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"uncordon"}), IsEmpty());
}

TEST(Rollout, ThousandsOfNodes) {
  v1::RolloutCreated created = MakeRollout(5, 3000);
  v1::Limit& limit =
      *created.mutable_plan()->mutable_policies()->mutable_workers()->mutable_max_unavailable();
  limit.set_value(10);
  limit.set_percent(true);
  Stage stage(created);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_EQ(stage.state().tally.workers_upgraded, 3000u);
}

v1::RolloutCreated MakeWithoutEtcd(int servers, v1::Datastore datastore) {
  v1::RolloutCreated created = MakeRollout(servers, 1);
  v1::Plan& plan = *created.mutable_plan();
  plan.set_datastore(datastore);
  plan.clear_members();
  for (v1::PlannedNode& node : *plan.mutable_nodes()) node.clear_member_id();
  return created;
}

TEST(Rollout, ASingleServerWithSqlite) {
  Stage stage(MakeWithoutEtcd(1, v1::DATASTORE_SQLITE));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"backup", "move_leader", "install"}),
              ElementsAre("backup s1", "install s1", "install w1"));
}

TEST(Rollout, AnExternalDatastoreIsGatedByTheOtherServersApi) {
  Stage stage(MakeWithoutEtcd(2, v1::DATASTORE_EXTERNAL));
  int away = 3;
  stage.spoil = [&](v1::GateProved& proved) {
    // After s1 was moved it takes a while.
    if (stage.state().Find("s1")->moved() && away-- > 0) proved.mutable_servers(0)->set_ready(false);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_TRUE(stage.EverHeld(v1::SERVER_NOT_READY));
}

TEST(Rollout, FiveServersGoOneByOneTheLeaderLast) {
  Stage stage(MakeRollout(5, 0));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(
      stage.Issued({"install", "move_leader"}),
      ElementsAre("install s2", "install s3", "install s4", "install s5", "move_leader s1", "install s1"));
}

TEST(Rollout, TwoServersWithConsent) {
  Stage stage(MakeRollout(2, 1));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
}

TEST(Rollout, AnAlarmHoldsTheNextServerUntilItIsGone) {
  Stage stage(MakeRollout(3, 0));
  int rounds = 3;
  stage.spoil = [&](v1::GateProved& proved) {
    if (stage.state().Find("s2")->moved() && rounds-- > 0) proved.mutable_servers(0)->add_alarms("NOSPACE");
  };
  stage.Play();
  EXPECT_TRUE(stage.EverHeld(v1::MEMBER_ALARM));
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
}

// Only servers still to be moved may crash: one that was moved and does not stay up ends the rollout.
TEST(Rollout, AMovedServerThatKeepsRestartingStopsTheRolloutAfterTheLimit) {
  Stage stage(MakeRollout(3, 0));
  uint32_t pid = 9000;
  stage.spoil = [&](v1::GateProved& proved) {
    if (!stage.state().Find("s2")->moved()) return;
    proved.mutable_servers(1)->set_main_pid(++pid);
    proved.mutable_servers(1)->set_ready_for_ms(1000);
    proved.mutable_servers(1)->set_note("k3s's last words: out of memory");
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::SERVER_RESTARTED);
  EXPECT_NE(stage.state().end_reason.detail().find("out of memory"), std::string::npos);
  EXPECT_THAT(stage.Issued(kTouches), ElementsAre("install s2"));
}

v1::Reason NotReady(const char* component) {
  v1::Reason reason;
  reason.set_code(v1::COMPONENT_NOT_READY);
  reason.set_subject(component);
  return reason;
}

TEST(Rollout, VerifyWaitsForPackagedComponents) {
  Stage stage(MakeRollout(3, 0));
  int rounds = 3;
  stage.spoil = [&](v1::GateProved& proved) {
    if (proved.nodes_size() != 0 && rounds-- > 0) *proved.add_components() = NotReady("Deployment coredns");
  };
  stage.Play();
  EXPECT_TRUE(stage.EverHeld(v1::COMPONENT_NOT_READY));
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
}

TEST(Rollout, AComponentThatStaysDownIsSaid) {
  Stage stage(MakeRollout(3, 0));
  stage.spoil = [](v1::GateProved& proved) {
    *proved.add_components() = NotReady("Job helm-install-traefik");
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::COMPONENT_NOT_READY);
}

TEST(Rollout, AComponentThatWasDownBeforeIsNotHeldAgainstIt) {
  v1::RolloutCreated created = MakeRollout(3, 0);
  *created.mutable_plan()->add_notices() = NotReady("Deployment coredns");
  Stage stage(created);
  stage.spoil = [](v1::GateProved& proved) { *proved.add_components() = NotReady("Deployment coredns"); };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
}

}  // namespace
}  // namespace k3saga::core
