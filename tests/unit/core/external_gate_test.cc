#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/plans.h"
#include "tests/unit/core/stage.h"

// The user's gate between nodes, over whole rollouts.
namespace k3saga::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

v1::RolloutCreated MakeGated(int servers, int workers) {
  v1::RolloutCreated created = MakeRollout(servers, workers);
  created.mutable_plan()->mutable_policies()->mutable_gate()->add_command("/usr/local/bin/may-i");
  return created;
}

TEST(ExternalGate, IsAskedBeforeEachNode) {
  Stage stage(MakeGated(3, 2));
  std::vector<std::string> asked;
  stage.gate = [&](const v1::ExternalGateAsked& question) {
    // Again for s1, whose leadership was moved meanwhile.
    if (asked.empty() || asked.back() != question.before_node()) asked.push_back(question.before_node());
    return true;
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  // Two workers at once share one answer.
  EXPECT_THAT(asked, ElementsAre("s2", "s3", "s1", "w1"));
}

TEST(ExternalGate, ClosedHoldsAndIsAskedAgainUntilItOpens) {
  Stage stage(MakeGated(3, 1));
  int closed = 3;
  stage.gate = [&](const v1::ExternalGateAsked& question) {
    return question.before_node() != "s3" || closed-- <= 0;
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_TRUE(stage.EverHeld(v1::EXTERNAL_GATE_CLOSED));
  EXPECT_LT(closed, 0);
}

TEST(ExternalGate, ClosedForTooLongStopsTheRolloutWithItsReason) {
  Stage stage(MakeGated(3, 1));
  stage.gate = [](const v1::ExternalGateAsked& question) { return question.before_node() != "w1"; };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::EXTERNAL_GATE_CLOSED);
  EXPECT_EQ(stage.state().end_reason.subject(), "PodsCrash");
  EXPECT_THAT(stage.Issued({"cordon"}), IsEmpty());
}

TEST(ExternalGate, HoldsNewWorkersWhileOthersAreInFlight) {
  v1::RolloutCreated created = MakeGated(1, 3);
  Stage stage(created);
  // Two go at once; one is finished, the other is not yet, and before the third the gate is closed for a
  // while.
  int asked = 0;
  stage.gate = [&](const v1::ExternalGateAsked& question) {
    return question.before_node() != "w3" || ++asked > 2;
  };
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.node() == "w2" && issued.spec().has_install() && asked == 0) return std::nullopt;
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_TRUE(stage.EverHeld(v1::EXTERNAL_GATE_CLOSED));
  EXPECT_EQ(asked, 3);
}

TEST(ExternalGate, DoesNotHoldTheWayBack) {
  Stage stage(MakeGated(3, 0));
  bool failed = false;
  stage.gate = [&](const v1::ExternalGateAsked&) { return !failed; };
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (!issued.spec().has_install() || issued.node() != "s3") return Succeeded(issued);
    failed = true;
    return Failed(v1::API_NOT_READY, v1::Outcome::BROKEN);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::COMPENSATED);
  EXPECT_THAT(stage.Issued({"put_back"}), ElementsAre("put_back s3", "put_back s2"));
}

TEST(ExternalGate, AnAbortDoesNotWaitForIt) {
  Stage stage(MakeGated(3, 0));
  stage.gate = [](const v1::ExternalGateAsked&) { return false; };
  for (int turn = 0; turn < 30 && !stage.EverHeld(v1::EXTERNAL_GATE_CLOSED); ++turn) stage.PlayOne();
  stage.Command(v1::CommandReceived::ABORT);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::ABORTED_BY_USER);
}

}  // namespace
}  // namespace k3saga::core
