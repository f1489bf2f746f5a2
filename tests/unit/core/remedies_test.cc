#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/plans.h"
#include "tests/unit/core/stage.h"

// Objects that stand in the cluster while versions are mixed.
namespace k3saga::core {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const std::vector<std::string> kVerbs = {"apply_manifests", "remove_manifests", "install", "put_back"};

v1::RolloutCreated MakeRemedied() {
  v1::RolloutCreated created = MakeRollout(3, 1);
  v1::Remedy& remedy = *created.mutable_plan()->add_remedies();
  remedy.set_trouble("renamed-role");
  remedy.add_manifests(R"({"kind":"ClusterRole"})");
  remedy.add_objects("clusterrole/balm");
  return created;
}

// Without the server that was asked.
std::vector<std::string> VerbsOf(const Stage& stage) {
  std::vector<std::string> verbs = stage.Issued(kVerbs);
  for (std::string& verb : verbs) {
    if (verb.find("manifests") != std::string::npos) verb = verb.substr(0, verb.find('_'));
  }
  return verbs;
}

using Script = Stage::Script;
Script Answers(Verb verb, v1::Outcome outcome) {
  return [=](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    return issued.spec().verb_case() == verb ? outcome : Succeeded(issued);
  };
}

TEST(Remedies, StandFromBeforeTheFirstServerToAfterTheLast) {
  Stage stage(MakeRemedied());
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(VerbsOf(stage),
              ElementsAre("apply", "install s2", "install s3", "install s1", "remove", "install w1"));
  EXPECT_EQ(stage.state().remedy.standing, RemedyState::Standing::kNone);
}

TEST(Remedies, AreNotThereBeforeTheBackup) {
  Stage stage(MakeRemedied());
  stage.Play();
  const std::vector<std::string> verbs = stage.Issued({"backup", "apply_manifests"});
  ASSERT_THAT(verbs, SizeIs(2));
  EXPECT_EQ(verbs.front().rfind("backup", 0), 0u);
}

TEST(Remedies, GoWhenTheServersWerePutBack) {
  Stage stage(MakeRemedied());
  stage.script = [](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_install() && issued.node() == "s3") {
      return Failed(v1::API_NOT_READY, v1::Outcome::PUT_BACK);
    }
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::COMPENSATED);
  EXPECT_THAT(VerbsOf(stage), ElementsAre("apply", "install s2", "install s3", "put_back s2", "remove"));
}

TEST(Remedies, GoWhenTheUserAborts) {
  Stage stage(MakeRemedied());
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_install()) return std::nullopt;  // runs for ever
    return Succeeded(issued);
  };
  stage.Play();
  stage.script = nullptr;
  stage.Command(v1::CommandReceived::ABORT);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_THAT(VerbsOf(stage), ElementsAre("apply", "install s2", "remove"));
}

TEST(Remedies, GoAlsoWhenTheAnswerToTheirApplyNeverCame) {
  Stage stage(MakeRemedied());
  stage.script = Answers(Verb::kApplyManifests, Unknown());
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::REMEDY_FAILED);
  EXPECT_THAT(VerbsOf(stage), ElementsAre("apply", "apply", "apply", "apply", "apply", "remove"));
}

TEST(Remedies, AnAgentThatDoesNotKnowTheVerbStopsTheRolloutUntouched) {
  Stage stage(MakeRemedied());
  stage.script = Answers(Verb::kApplyManifests, Refused(v1::UNKNOWN_ACTION));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_THAT(VerbsOf(stage), ElementsAre("apply"));
}

TEST(Remedies, FailureThatPassesIsTriedAgain) {
  Stage stage(MakeRemedied());
  int applied = 0;
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_apply_manifests() && ++applied < 3) return Failed(v1::API_NOT_READY);
    return Succeeded(issued);
  };
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_EQ(applied, 3);
}

TEST(Remedies, WhatCannotBeRemovedIsSaidWithItsCommand) {
  Stage stage(MakeRemedied());
  stage.script = Answers(Verb::kRemoveManifests, Failed(v1::API_NOT_READY));
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::STOPPED);
  EXPECT_EQ(stage.state().end_reason.code(), v1::REMEDY_FAILED);
  EXPECT_EQ(stage.state().end_reason.remedy(), "kubectl delete clusterrole/balm");
  EXPECT_THAT(stage.Issued(kVerbs), Contains("install w1"));  // workers do not wait for it
}

TEST(Remedies, AreKeptOverAResume) {
  Stage stage(MakeRemedied());
  stage.script = [&](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_install() && issued.node() == "s3") return std::nullopt;
    return Succeeded(issued);
  };
  stage.Play();
  v1::Event resumed;
  resumed.mutable_resumed()->set_holder("ada@desk:43");
  resumed.mutable_resumed()->set_epoch(2);
  stage.Feed(resumed);
  stage.script = nullptr;
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(stage.Issued({"apply_manifests"}), SizeIs(1));
  EXPECT_THAT(stage.Issued({"remove_manifests"}), SizeIs(1));
}

TEST(Remedies, NothingIsAskedForWithout) {
  Stage stage(MakeRollout(3, 1));
  stage.Play();
  EXPECT_THAT(stage.Issued({"apply_manifests", "remove_manifests"}), IsEmpty());
}

}  // namespace
}  // namespace k3saga::core
