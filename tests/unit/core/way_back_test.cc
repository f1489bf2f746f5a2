#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/plans.h"
#include "tests/unit/core/stage.h"

// Rollbacks, restores, and an upgrade's compensation past the point of no return: what is asked of whom, in
// which order, and how it ends. Their rules: way_back_rules_test.cc.
namespace k3saga::core {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<v1::Step> Steps(const Stage& stage) {
  std::vector<v1::Step> steps;
  for (const StepState& step : stage.state().steps) steps.push_back(step.step);
  return steps;
}

const v1::OperationSpec* Asked(const Stage& stage, Verb verb, const char* node) {
  for (const v1::Event& event : stage.log()) {
    if (event.issued().spec().verb_case() == verb && event.issued().node() == node)
      return &event.issued().spec();
  }
  return nullptr;
}

TEST(Rollback, ByBinariesWorkersFirstThenServersNewestFirst) {
  Stage stage(MakeRollback(3, 1, false));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued(),
              ElementsAre("cordon w1", "drain w1", "put_back w1", "await_node w1", "uncordon w1",
                          "move_leader s1", "put_back s1", "await_node s1", "put_back s3", "await_node s3",
                          "move_leader s2", "put_back s2", "await_node s2"));
  EXPECT_EQ(Asked(stage, Verb::kPutBack, "s3")->put_back().rollout(), "20260130-101112-0001");
  EXPECT_TRUE(Asked(stage, Verb::kPutBack, "s3")->put_back().last_check().require_quorum_without_me());
  EXPECT_EQ(Asked(stage, Verb::kAwaitNode, "s3")->await_node().version(), kFrom);
  for (const NodeState& node : stage.state().nodes) EXPECT_EQ(node.result, v1::NodeFinished::RETURNED);
  EXPECT_THAT(stage.Issued({"stage", "backup"}), IsEmpty());
}

TEST(Rollback, AWorkerThatStaysNewerKeepsTheServersWhereTheyAre) {
  v1::RolloutCreated created = MakeRollback(3, 2, false);
  created.mutable_plan()->mutable_policies()->mutable_workers()->set_on_failure(v1::ON_FAILURE_SKIP);
  created.mutable_plan()->mutable_policies()->mutable_workers()->mutable_failure_budget()->set_value(2);
  Stage stage(created);
  stage.script = Fails(Verb::kPutBack, "w1", Failed(v1::NOT_KEPT));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::WORKERS_FIRST);
  EXPECT_THAT(stage.Issued({"put_back"}), ElementsAre("put_back w1", "put_back w2"));
}

TEST(Rollback, AServerThatFailsStopsIt) {
  Stage stage(MakeRollback(3, 0, false));
  stage.script = Fails(Verb::kPutBack, "s3", Failed(v1::NOT_KEPT));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_THAT(stage.Issued({"put_back"}), ElementsAre("put_back s1", "put_back s3"));
}

TEST(Rollback, WithTheDatastore) {
  Stage stage(MakeRollback(3, 2, true));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued(), ElementsAre("put_back w1", "put_back w2", "stop s2", "stop s1", "stop s3",
                                          "put_back s2", "restore_datastore s2", "put_back s1", "rejoin s1",
                                          "put_back s3", "rejoin s3", "restart w1", "restart w2"));
  EXPECT_EQ(Asked(stage, Verb::kRestoreDatastore, "s2")->restore_datastore().sha256(), "5a");
  EXPECT_EQ(Asked(stage, Verb::kRejoin, "s1")->rejoin().server_url(), "https://10.0.0.2:6443");
  EXPECT_TRUE(Asked(stage, Verb::kPutBack, "s1")->put_back().leave_stopped());
  EXPECT_FALSE(Asked(stage, Verb::kPutBack, "s1")->put_back().has_last_check());
  EXPECT_FALSE(Asked(stage, Verb::kPutBack, "w1")->put_back().leave_stopped());
  EXPECT_THAT(Steps(stage), ElementsAre(v1::STEP_PREFLIGHT, v1::STEP_PUT_BACK_WORKERS, v1::STEP_STOP_SERVERS,
                                        v1::STEP_RESTORE_DATASTORE, v1::STEP_REJOIN_SERVERS,
                                        v1::STEP_RESTART_WORKERS, v1::STEP_VERIFY, v1::STEP_CLEAN_UP));
  for (const NodeState& node : stage.state().nodes) EXPECT_EQ(node.result, v1::NodeFinished::RETURNED);
}

TEST(Restore, AtTheSameVersionSwapsNoFiles) {
  v1::RolloutCreated created = MakeRollback(3, 1, true);
  created.mutable_plan()->set_kind(v1::Plan::RESTORE);
  for (v1::PlannedNode& node : *created.mutable_plan()->mutable_nodes()) {
    node.set_from_version(kFrom);
    node.set_at_target(true);
  }
  Stage stage(created);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued(), ElementsAre("stop s2", "stop s1", "stop s3", "restore_datastore s2",
                                          "rejoin s1", "rejoin s3", "restart w1"));
}

TEST(Restore, OfASingleServer) {
  Stage stage(MakeRollback(1, 0, true));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued(), ElementsAre("stop s1", "put_back s1", "restore_datastore s1"));
}

TEST(Restore, AsksVeleroLast) {
  v1::RolloutCreated created = MakeRollback(3, 1, true);
  created.mutable_plan()->set_velero_backup("pre-upgrade-v1.32.0-k3s1");
  Stage stage(created);
  stage.Play();
  EXPECT_EQ(stage.Issued().back(), "velero_restore s2");
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);

  Stage fails(created);
  fails.script = Fails(Verb::kVeleroRestore, "s2", Failed(v1::VELERO_FAILED));
  fails.Play();
  EXPECT_EQ(fails.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(fails.state().end_reason.code(), v1::VELERO_FAILED);
  EXPECT_THAT(fails.Issued(), Contains("velero_restore s2").Times(1)) << "what Velero said is its end";
}

// Nothing was replaced yet: the way out is up again.
TEST(Upgrade, LetsVeleroBackUpBeforeTheFirstServer) {
  v1::RolloutCreated created = MakeRollout(3, 0);
  created.mutable_plan()->mutable_policies()->mutable_backup()->add_velero_namespaces("kube-system");
  Stage stage(created);
  stage.Play();
  const std::vector<std::string> issued = stage.Issued();
  EXPECT_EQ(issued[0].substr(0, 6), "backup");
  EXPECT_EQ(issued[1], "velero_backup s1");
  EXPECT_EQ(stage.state().velero_backup, "pre-upgrade-v1.32.0-k3s1");
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);

  Stage fails(created);
  fails.script = Fails(Verb::kVeleroBackup, "s1", Failed(v1::VELERO_FAILED));
  fails.Play();
  EXPECT_EQ(fails.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(fails.state().end_reason.code(), v1::VELERO_FAILED);
  EXPECT_THAT(fails.Issued({"install"}), IsEmpty());
}

// Whoever has the backup is asked first: where it is found wanting, nobody else was stopped.
TEST(Restore, ABackupThatIsOfNoUseStopsNobodyElse) {
  Stage stage(MakeRollback(3, 0, true));
  stage.script = Fails(Verb::kStop, "s2", Failed(v1::BACKUP_UNUSABLE));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::RESTORE_FAILED);
  EXPECT_THAT(stage.Issued(), ElementsAre("stop s2", "restart s2"));
}

TEST(Restore, AServerThatDoesNotStopLetsTheOthersStartAgain) {
  Stage stage(MakeRollback(3, 1, true));
  stage.script = Fails(Verb::kStop, "s3", Refused(v1::UNKNOWN_ACTION));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_THAT(stage.Issued({"restart"}), ElementsAre("restart s1", "restart s2", "restart s3"));
  EXPECT_THAT(stage.Issued({"put_back", "restore_datastore"}), ElementsAre("put_back w1"));
  EXPECT_EQ(stage.state().end_reason.code(), v1::RESTORE_FAILED);
}

TEST(Restore, AnAbortIsHeardUntilTheFirstFileIsReplaced) {
  Stage stage(MakeRollback(3, 0, true));
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_stop() && issued.node() == "s3") return std::nullopt;
    return Succeeded(issued);
  };
  stage.Play();
  stage.Command(v1::CommandReceived::ABORT);
  stage.script = nullptr;
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_THAT(stage.Issued({"restart"}).size(), 3u);
  EXPECT_THAT(stage.Issued({"restore_datastore"}), IsEmpty());
}

TEST(Restore, AfterThatItGoesToTheEnd) {
  Stage stage(MakeRollback(3, 1, true));
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_restore_datastore()) return std::nullopt;
    return Succeeded(issued);
  };
  stage.Play();
  stage.Command(v1::CommandReceived::ABORT);
  stage.script = nullptr;
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_THAT(stage.Issued({"rejoin", "restart"}), ElementsAre("rejoin s1", "rejoin s3", "restart w1"));
}

TEST(Restore, AResetThatFailsForGoodNamesTheCommand) {
  Stage stage(MakeRollback(3, 0, true));
  stage.script = Fails(Verb::kRestoreDatastore, "s2", Failed(v1::BACKUP_UNUSABLE));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::RESTORE_FAILED);
  EXPECT_THAT(stage.state().end_reason.remedy(), HasSubstr("k3saga restore --backup b1"));
  EXPECT_THAT(stage.Issued({"rejoin"}), IsEmpty());
}

TEST(Restore, AResetThatFailsOnceIsTriedAgain) {
  Stage stage(MakeRollback(3, 0, true));
  int resets = 0;
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_restore_datastore() && ++resets == 1) return Unknown();
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_EQ(resets, 2);
}

TEST(Restore, APeerThatCannotJoinIsLeftOutAndNamed) {
  Stage stage(MakeRollback(3, 1, true));
  stage.script = Fails(Verb::kRejoin, "s1", Refused(v1::UNKNOWN_ACTION));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_THAT(stage.Issued({"rejoin"}), ElementsAre("rejoin s1", "rejoin s3"));
  EXPECT_EQ(stage.state().Find("s1")->result, v1::NodeFinished::FAILED);
  EXPECT_EQ(stage.state().Find("s3")->result, v1::NodeFinished::RETURNED);
}

TEST(Restore, APauseHoldsItOnlyWhileEverythingStillRuns) {
  Stage stage(MakeRollback(3, 1, true));
  stage.script = [](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_put_back()) return std::nullopt;
    return Succeeded(issued);
  };
  stage.Play();
  stage.Command(v1::CommandReceived::PAUSE);
  stage.script = nullptr;
  stage.Play();
  EXPECT_FALSE(stage.state().ended());
  EXPECT_TRUE(stage.state().quiet());
  EXPECT_THAT(stage.Issued({"stop"}), IsEmpty());
  stage.Command(v1::CommandReceived::RESUME);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
}

// Resumed at every event of a restore: whatever was open is asked for again, nothing is done twice, and it
// ends well.
TEST(Restore, GoesOnFromEveryEvent) {
  Stage whole(MakeRollback(3, 1, true));
  whole.Play();
  const std::vector<v1::Event>& log = whole.log();
  for (size_t cut = 1; cut + 1 < log.size(); ++cut) {
    SCOPED_TRACE(cut);
    Stage again(std::vector<v1::Event>(log.begin(), log.begin() + static_cast<ptrdiff_t>(cut)));
    v1::Event resumed;
    resumed.mutable_resumed()->set_holder("bob@desk:7");
    resumed.mutable_resumed()->set_epoch(2);
    again.Feed(resumed);
    again.Play();
    EXPECT_EQ(again.state().result, v1::RolloutEnded::SUCCEEDED);
    EXPECT_EQ(again.Issued({"restore_datastore", "rejoin", "restart"}).size(), 4u);
  }
}

// --- compensation of an upgrade past the point of no return

Stage::Script NodeNeverReady(const char* server) {
  return Fails(Verb::kAwaitNode, server, Failed(v1::NODE_NOT_READY));
}

TEST(Compensation, PastReturnWithoutConsentStopsAndNamesTheCommand) {
  Stage stage(MakeRollout(3, 1));
  stage.script = NodeNeverReady("s1");  // the last one
  stage.Play();
  EXPECT_TRUE(stage.state().past_return);
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::NODE_NOT_READY);
  EXPECT_THAT(stage.state().end_reason.remedy(), HasSubstr("k3saga rollback 20260131-142507-4f2a"));
  EXPECT_THAT(stage.Issued({"stop", "put_back"}), IsEmpty());
}

// Verify waits for a server that went down after it was through, and gives up: nothing is restored unasked,
// but it is named.
TEST(Compensation, AServerThatDiesLaterNamesTheCommandToo) {
  v1::RolloutCreated created = MakeRollout(3, 0);
  created.mutable_plan()->set_consent_data_loss(true);
  Stage stage(created);
  stage.spoil = [&](v1::GateProved& proved) {
    if (stage.state().step == v1::STEP_VERIFY) proved.mutable_servers(0)->set_ready(false);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::SERVER_NOT_READY);
  EXPECT_THAT(stage.state().end_reason.remedy(), HasSubstr("k3saga rollback"));
  EXPECT_THAT(stage.Issued({"stop"}), IsEmpty());
}

TEST(Compensation, PastReturnWithConsentBringsTheDatastoreBack) {
  v1::RolloutCreated created = MakeRollout(3, 1);
  created.mutable_plan()->set_consent_data_loss(true);
  Stage stage(created);
  stage.script = NodeNeverReady("s1");
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::COMPENSATED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::NODE_NOT_READY);
  const std::vector<std::string> way =
      stage.Issued({"stop", "put_back", "restore_datastore", "rejoin", "restart"});
  EXPECT_THAT(way, ElementsAre("stop s2", "stop s1", "stop s3", "put_back s2", "restore_datastore s2",
                               "put_back s1", "rejoin s1", "put_back s3", "rejoin s3", "restart w1"));
  EXPECT_EQ(Asked(stage, Verb::kPutBack, "s1")->put_back().rollout(), "");
  for (const char* server : {"s1", "s2", "s3"})
    EXPECT_EQ(stage.state().Find(server)->result, v1::NodeFinished::PUT_BACK);
}

TEST(Compensation, PastReturnPutsWorkersBackFirst) {
  v1::RolloutCreated created = MakeRollout(3, 2);
  created.mutable_plan()->set_consent_data_loss(true);
  Stage stage(created);
  // s1's Node fails only once a worker was upgraded.
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    const bool awaits_last = issued.spec().has_await_node() && issued.node() == "s1";
    if (!awaits_last) return Succeeded(issued);
    if (stage.state().tally.workers_upgraded == 0) return std::nullopt;
    return Failed(v1::NODE_NOT_READY);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::COMPENSATED);
  const std::vector<std::string> way = stage.Issued({"put_back", "stop"});
  ASSERT_GE(way.size(), 2u);
  EXPECT_EQ(way.front().substr(0, 10), "put_back w");
  EXPECT_THAT(way, Contains("put_back s1"));
}

TEST(Compensation, BeforeReturnConsentChangesNothing) {
  v1::RolloutCreated created = MakeRollout(3, 1);
  created.mutable_plan()->set_consent_data_loss(true);
  Stage stage(created);
  stage.script = Fails(Verb::kInstall, "s3", Failed(v1::API_NOT_READY, v1::Outcome::PUT_BACK));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::COMPENSATED);
  EXPECT_THAT(stage.Issued({"stop", "put_back"}), ElementsAre("put_back s2"));
}

}  // namespace
}  // namespace k3saga::core
