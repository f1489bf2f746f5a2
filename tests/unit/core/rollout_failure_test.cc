#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/plans.h"
#include "tests/unit/core/stage.h"

// Rollouts in which something fails or is refused: what is undone, in which order, and how it ends.
namespace k3saga::core {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

TEST(Rollout, FailedServerPutsEveryMovedServerBackNewestFirst) {
  Stage stage(MakeRollout(3, 1));
  stage.script = Fails(Verb::kInstall, "s1", Failed(v1::API_NOT_READY, v1::Outcome::PUT_BACK));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::COMPENSATED);
  EXPECT_THAT(stage.Issued(kTouches),
              ElementsAre("install s2", "install s3", "install s1", "put_back s3", "put_back s2"));
  for (const char* server : {"s1", "s2", "s3"})
    EXPECT_EQ(ResultOf(stage, server), v1::NodeFinished::PUT_BACK);
  EXPECT_EQ(stage.state().end_reason.code(), v1::API_NOT_READY);
}

TEST(Rollout, BrokenServerIsPutBackFirstAlthoughItIsDown) {
  Stage stage(MakeRollout(3, 0));
  stage.script = Fails(Verb::kInstall, "s3", Failed(v1::API_NOT_READY, v1::Outcome::BROKEN));
  stage.spoil = [&](v1::GateProved& proved) {
    if (stage.state().Find("s3")->fate != Fate::kBroken) return;
    proved.mutable_servers(2)->set_ready(false);
    proved.mutable_servers(2)->set_etcd_serving(false);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::COMPENSATED);
  EXPECT_THAT(stage.Issued(kTouches), ElementsAre("install s2", "install s3", "put_back s3", "put_back s2"));
}

TEST(Rollout, ServerPolicyStopLeavesEverythingAsItStands) {
  v1::RolloutCreated created = MakeRollout(3, 1);
  created.mutable_plan()->mutable_policies()->mutable_servers()->set_on_failure(v1::ON_FAILURE_STOP);
  Stage stage(created);
  stage.script = Fails(Verb::kInstall, "s3", Failed(v1::API_NOT_READY, v1::Outcome::BROKEN));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_THAT(stage.Issued({"put_back"}), IsEmpty());
}

TEST(Rollout, NoWayBackByBinariesPastThePointOfNoReturn) {
  Stage stage(MakeRollout(3, 1));
  stage.script = Fails(Verb::kAwaitNode, "s1", Failed(v1::NODE_NOT_READY));  // the last server
  stage.Play();
  EXPECT_TRUE(stage.state().past_return);
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_THAT(stage.Issued({"put_back"}), IsEmpty());
}

TEST(Rollout, PatchReleaseGoesBackFromTheLastServer) {
  v1::RolloutCreated created = MakeRollout(3, 1);
  created.mutable_plan()->set_minor_step(false);
  Stage stage(created);
  stage.script = Fails(Verb::kInstall, "s1", Failed(v1::API_NOT_READY, v1::Outcome::BROKEN));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::COMPENSATED);
  EXPECT_THAT(stage.Issued({"put_back"}), ElementsAre("put_back s1", "put_back s3", "put_back s2"));
}

TEST(Rollout, PutBackThatFailsStopsWithItsReason) {
  Stage stage(MakeRollout(3, 0));
  stage.script = [](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_install() && issued.node() == "s3")
      return Failed(v1::API_NOT_READY, v1::Outcome::BROKEN);
    if (issued.spec().has_put_back()) return Failed(v1::NOT_KEPT);
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::RESTORE_FAILED);
}

TEST(Rollout, BackupComesBeforeAnyTouchAndItsFailureStops) {
  Stage stage(MakeRollout(3, 1));
  stage.script = [](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    return issued.spec().has_backup() ? Failed(v1::SNAPSHOT_FAILED) : Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::SNAPSHOT_FAILED);
  EXPECT_THAT(stage.Issued(kTouches), IsEmpty());
  EXPECT_EQ(stage.Issued({"backup"}).size(), 3u);  // tried, through different servers
  EXPECT_EQ(stage.Issued({"drop_staged"}).size(), 4u);
}

TEST(Rollout, ClaimThatIsNotToBeHadRefuses) {
  Stage stage(MakeRollout(3, 1));
  stage.script = Fails(Verb::kClaim, "s2", Unknown());
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::REFUSED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::CLAIM_MISSING);
  EXPECT_THAT(stage.Issued({"stage", "backup", "install"}), IsEmpty());
}

TEST(Rollout, FencedCoordinatorGivesWayAtOnce) {
  Stage stage(MakeRollout(3, 1));
  stage.script = Fails(Verb::kInstall, "s3", Refused(v1::STALE_EPOCH));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::STALE_EPOCH);
  EXPECT_THAT(stage.Issued({"uncordon", "release_claim", "put_back"}), IsEmpty());
}

TEST(Rollout, UnknownInstallIsAskedAgainAndCountsOnce) {
  Stage stage(MakeRollout(3, 1));
  int asked = 0;
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_install() && issued.node() == "s3" && ++asked == 1) return Unknown();
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"install"}),
              ElementsAre("install s2", "install s3", "install s3", "install s1", "install w1"));
}

TEST(Rollout, RefusedByTheAgentsLastCheckLooksAgain) {
  Stage stage(MakeRollout(3, 0));
  int asked = 0;
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_install() && issued.node() == "s2" && ++asked == 1)
      return Refused(v1::NODE_LEADS_ETCD);
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
}

TEST(Rollout, LostAgentJournalIsClaimedAgain) {
  Stage stage(MakeRollout(3, 0));
  int asked = 0;
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    v1::Outcome lost = Unknown();
    lost.mutable_reason()->set_code(v1::LOST_OPERATION);
    if (issued.spec().has_install() && issued.node() == "s2" && ++asked == 1) return lost;
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_EQ(stage.Issued({"claim"}).size(), 4u);
}

TEST(Rollout, FailedWorkerStopsAndStaysCordonedWhenItIsUnfit) {
  Stage stage(MakeRollout(3, 6));
  stage.script = Fails(Verb::kInstall, "w1", Failed(v1::NODE_NOT_READY, v1::Outcome::BROKEN));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::FAILURE_BUDGET_SPENT);
  EXPECT_EQ(ResultOf(stage, "w1"), v1::NodeFinished::FAILED);
  EXPECT_EQ(stage.state().Find("w1")->cordon, Cordon::kOurs);
  EXPECT_THAT(stage.Issued({"uncordon"}), Not(Contains("uncordon w1")));
  EXPECT_THAT(stage.Issued({"install"}), Not(Contains("install w5")));
}

TEST(Rollout, FailedWorkerThatIsHealthyIsUncordoned) {
  Stage stage(MakeRollout(3, 2));
  stage.script = Fails(Verb::kDrain, "w1", Failed(v1::DRAIN_BLOCKED));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(ResultOf(stage, "w1"), v1::NodeFinished::FAILED);
  EXPECT_THAT(stage.Issued({"uncordon"}), Contains("uncordon w1"));
}

TEST(Rollout, SkipGoesOnWithinTheBudgetAndSaysThatNotAllIsDone) {
  v1::RolloutCreated created = MakeRollout(3, 6);
  v1::WorkerPolicy& policy = *created.mutable_plan()->mutable_policies()->mutable_workers();
  policy.set_on_failure(v1::ON_FAILURE_SKIP);
  policy.mutable_failure_budget()->set_value(1);
  Stage stage(created);
  stage.script = Fails(Verb::kInstall, "w1", Failed(v1::NODE_NOT_READY, v1::Outcome::BROKEN));
  stage.Play();
  EXPECT_EQ(stage.state().tally.workers_upgraded, 5u);
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.subject(), "w1");
}

TEST(Rollout, WorkersArePutBackWhereThePolicySaysSo) {
  v1::RolloutCreated created = MakeRollout(3, 2);
  created.mutable_plan()->mutable_policies()->mutable_workers()->set_on_failure(v1::ON_FAILURE_PUT_BACK);
  Stage stage(created);
  stage.script = Fails(Verb::kInstall, "w1", Failed(v1::NODE_NOT_READY, v1::Outcome::BROKEN));
  stage.Play();
  EXPECT_THAT(stage.Issued({"put_back"}), ElementsAre("put_back w1"));
  EXPECT_EQ(ResultOf(stage, "w1"), v1::NodeFinished::PUT_BACK);
  EXPECT_THAT(stage.Issued({"uncordon"}), Contains("uncordon w1"));
}
}  // namespace
}  // namespace k3saga::core
