#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/protocol.h"
#include "coordinator/core/planner/agent_checks.h"
#include "tests/unit/core/site.h"

namespace k3saga::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::set<std::string> NamesOf(const std::vector<Verb>& verbs) {
  std::set<std::string> names;
  for (const Verb verb : verbs)
    names.insert(v1::OperationSpec::descriptor()->FindFieldByNumber(verb)->name());
  return names;
}

TEST(Protocol, SaysSinceWhenForEveryVerb) {
  std::set<int> entered;
  for (const VerbSince& each : VerbsByProtocol()) {
    EXPECT_TRUE(entered.insert(each.verb).second) << each.verb;
    EXPECT_GE(each.protocol, 1u) << each.verb;
    EXPECT_LE(each.protocol, kProtocol) << each.verb;
  }
  const google::protobuf::OneofDescriptor* verbs = v1::OperationSpec::descriptor()->FindOneofByName("verb");
  ASSERT_NE(verbs, nullptr);
  EXPECT_EQ(entered.size(), static_cast<size_t>(verbs->field_count()));
  for (int i = 0; i < verbs->field_count(); ++i) {
    EXPECT_EQ(entered.count(verbs->field(i)->number()), 1u) << verbs->field(i)->name();
  }
}

TEST(VerbsFor, AreThoseThatThePlanMayNeed) {
  v1::Plan plan = MakeRollout(3, 2).plan();
  const auto of = [&](int node) { return NamesOf(VerbsFor(plan, plan.nodes(node))); };
  const std::set<std::string> worker = {"claim",       "release_claim", "stage",
                                        "drop_staged", "install",       "put_back"};
  const std::set<std::string> server = {"claim",    "release_claim", "stage",       "drop_staged",
                                        "install",  "put_back",      "await_node",  "cordon",
                                        "uncordon", "drain",         "move_leader", "backup"};
  EXPECT_EQ(of(3), worker);
  EXPECT_EQ(of(0), server);

  plan.mutable_policies()->mutable_workers()->mutable_drain()->set_enabled(false);
  plan.mutable_policies()->mutable_workers()->set_cordon(false);
  plan.mutable_policies()->mutable_servers()->set_cordon(false);
  plan.mutable_policies()->mutable_backup()->add_velero_namespaces("shop");
  plan.add_remedies();
  EXPECT_EQ(of(0), (std::set<std::string>{"claim", "release_claim", "stage", "drop_staged", "install",
                                          "put_back", "await_node", "move_leader", "backup", "velero_backup",
                                          "apply_manifests", "remove_manifests"}));

  plan.mutable_policies()->mutable_backup()->set_restore_on_failure(true);
  for (const char* more : {"stop", "restore_datastore", "rejoin", "restart", "velero_restore"}) {
    EXPECT_EQ(of(0).count(more), 1u) << more;
  }
  EXPECT_EQ(of(3).count("restart"), 1u);

  plan.mutable_nodes(3)->set_at_target(true);
  EXPECT_EQ(of(3), (std::set<std::string>{"claim", "release_claim", "restart"}));
}

TEST(VerbsFor, AWayBackAsksForNoInstall) {
  for (const bool datastore : {false, true}) {
    const v1::Plan plan = MakeRollback(3, 1, datastore).plan();
    for (const v1::PlannedNode& node : plan.nodes()) {
      const std::set<std::string> verbs = NamesOf(VerbsFor(plan, node));
      EXPECT_EQ(verbs.count("put_back"), 1u) << node.name();
      for (const char* none : {"install", "stage", "backup"}) EXPECT_EQ(verbs.count(none), 0u) << none;
      EXPECT_EQ(verbs.count("restore_datastore"), datastore && node.role() == v1::ROLE_SERVER ? 1u : 0u);
    }
  }
}

// A later protocol that brought a verb, and agents that do not speak it yet.
TEST(CheckVerbs, NamesAgentsThatLackWhatTheRolloutNeeds) {
  Site site;
  const PlanOutcome outcome = site.Plan();
  const Survey survey = MakeSurvey(site.request, site.facts);
  const auto refused = [&](const std::vector<VerbSince>& verbs) {
    Findings findings;
    CheckVerbs(survey, outcome.plan, findings, verbs);
    std::vector<std::string> said;
    for (const v1::Reason& reason : findings.refusals) {
      EXPECT_EQ(reason.code(), v1::AGENT_VERSION_UNSUPPORTED);
      EXPECT_THAT(reason.remedy(), HasSubstr("k3saga agents upgrade"));
      said.push_back(reason.subject() + ": " + reason.detail());
    }
    return said;
  };
  EXPECT_THAT(refused(VerbsByProtocol()), IsEmpty());
  EXPECT_THAT(refused({{Verb::kVeleroBackup, 2}}), IsEmpty()) << "nobody asks for it";
  EXPECT_THAT(refused({{Verb::kDrain, 2}}),
              ElementsAre(HasSubstr("s1: "), HasSubstr("s2: "), HasSubstr("s3: ")))
      << "a drain is asked of servers, about a worker";
  site.At("s1").set_protocol(2);
  site.At("s3").set_protocol(3);
  EXPECT_THAT(
      refused({{Verb::kDrain, 2}, {Verb::kBackup, 2}}),
      ElementsAre("s2: its agent  speaks protocol 1, which has no drain, backup; this rollout needs it"));
  EXPECT_THAT(refused({{Verb::kStage, 2}}), SizeIs(3)) << "each of itself";
  site.At("w1").set_protocol(0);
  EXPECT_THAT(refused({{Verb::kStage, 2}}), SizeIs(2)) << "CheckProtocols names that one";
}

TEST(Examine, LooksAtAgentsAlsoWhereNothingIsToBeDone) {
  Site site;
  site.request.release.set_version(kFrom);
  ASSERT_EQ(site.Plan().kind, PlanOutcome::Kind::kNothingToDo);
  EXPECT_EQ(Examine(site.request, site.facts).kind, PlanOutcome::Kind::kNothingToDo);
  site.At("w2").set_protocol(0);
  const PlanOutcome outcome = Examine(site.request, site.facts);
  EXPECT_EQ(outcome.kind, PlanOutcome::Kind::kRefused);
  ASSERT_THAT(outcome.refusals, SizeIs(1));
  EXPECT_EQ(outcome.refusals[0].code(), v1::AGENT_VERSION_UNSUPPORTED);
  EXPECT_EQ(outcome.refusals[0].subject(), "w2");
  for (const v1::PlannedNode& node : outcome.plan.nodes()) EXPECT_TRUE(node.at_target()) << node.name();
}

}  // namespace
}  // namespace k3saga::core
