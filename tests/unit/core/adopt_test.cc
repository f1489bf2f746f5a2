#include "coordinator/core/adopt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "common/reason.h"
#include "tests/unit/core/plans.h"
#include "tests/unit/core/stage.h"

// A rollout whose coordinator and journal are gone, put together again from what the agents say.
namespace k3saga::core {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using Found = v1::AdoptedNode;

constexpr char kHolder[] = "bob@ci:7";

// 3+2 nodes as they were before the rollout, each agent with its journal and the rollout's claim.
class Agents {
 public:
  Agents() : created_(MakeRollout(3, 2)) {
    for (const v1::PlannedNode& node : created_.plan().nodes()) {
      AgentReport report;
      report.facts.set_name(node.name());
      report.facts.set_journal_id("journal-" + node.name());
      report.facts.mutable_k3s()->set_running_version(kFrom);
      v1::Claim& claim = *report.facts.mutable_claim();
      claim.set_rollout(created_.rollout());
      claim.set_epoch(4);
      claim.set_holder("ada@desk:42");
      claim.set_active(true);
      if (node.role() == v1::ROLE_SERVER) report.facts.set_adoption(created_.SerializeAsString());
      reports_.push_back(std::move(report));
    }
    for (const v1::PlannedNode& node : created_.plan().nodes())
      reports_[0].facts.add_nodes()->set_name(node.name());
  }

  AgentReport& operator[](const std::string& name) {
    return *std::find_if(reports_.begin(), reports_.end(),
                         [&](const AgentReport& each) { return each.facts.name() == name; });
  }
  void Runs(const std::string& node, const std::string& version) {
    (*this)[node].facts.mutable_k3s()->set_running_version(version);
  }
  void CordonedByUs(int number) {
    reports_[0].facts.mutable_nodes(number)->set_cordoned_by(created_.rollout());
  }
  // In the order in which they were asked for; without an outcome it still runs.
  void Did(const std::string& node, v1::OperationSpec spec, const v1::Outcome& outcome = {}) {
    KeptOperation record;
    record.id.set_rollout(created_.rollout());
    record.id.set_sequence(++sequence_);
    record.spec = std::move(spec);
    record.outcome = outcome;
    (*this)[node].operations.insert((*this)[node].operations.begin(), record);
  }
  void Installed(const std::string& node) {
    v1::Outcome done;
    done.set_code(v1::Outcome::SUCCEEDED);
    done.set_node_state(v1::Outcome::CHANGED);
    Did(node, Install(), done);
    Runs(node, kTo);
  }
  static v1::OperationSpec Install() {
    v1::OperationSpec spec;
    spec.mutable_install()->set_version(kTo);
    return spec;
  }
  static v1::OperationSpec PutBack() {
    v1::OperationSpec spec;
    spec.mutable_put_back();
    return spec;
  }
  void BackedUp() {
    v1::OperationSpec spec;
    spec.mutable_backup();
    v1::Outcome done;
    done.set_code(v1::Outcome::SUCCEEDED);
    done.mutable_backup()->set_id("b1");
    Did("s2", spec, done);
  }

  v1::RolloutCreated& created() { return created_; }
  std::vector<v1::NodeFacts> Facts() const {
    std::vector<v1::NodeFacts> facts;
    for (const AgentReport& report : reports_) facts.push_back(report.facts);
    return facts;
  }
  Adoption Adopt() const { return core::Adopt(created_, reports_, kHolder, 6); }
  // What a coordinator makes of it from there, in a world where everything works.
  Stage Continue() const {
    Stage stage(created_);
    v1::Event event;
    *event.mutable_adopted() = Adopt().adopted;
    stage.Feed(std::move(event));
    return stage;
  }

 private:
  v1::RolloutCreated created_;
  std::vector<AgentReport> reports_;
  uint64_t sequence_ = 0;
};

const v1::AdoptedNode& Node(const v1::RolloutAdopted& adopted, const std::string& name) {
  return *std::find_if(adopted.nodes().begin(), adopted.nodes().end(),
                       [&](const v1::AdoptedNode& node) { return node.node() == name; });
}

TEST(FindKept, TakesTheNewestClaimThatIsHeld) {
  Agents agents;
  const KeptRollout kept = FindKept(agents.Facts());
  EXPECT_THAT(kept.refusals, IsEmpty());
  EXPECT_EQ(kept.created.rollout(), agents.created().rollout());
  EXPECT_EQ(kept.claim.holder(), "ada@desk:42");
}

TEST(FindKept, SaysWhatIsInTheWay) {
  struct Case {
    const char* what;
    std::function<void(Agents&)> spoil;
    v1::ReasonCode code;
  };
  const auto each = [](const std::function<void(v1::NodeFacts&)>& change) {
    return [change](Agents& agents) {
      for (const char* name : {"s1", "s2", "s3", "w1", "w2"}) change(agents[name].facts);
    };
  };
  const auto with = [&each](const std::function<void(v1::RolloutCreated&)>& change) {
    return each([change](v1::NodeFacts& facts) {
      v1::RolloutCreated created;
      created.ParseFromString(facts.adoption());
      change(created);
      if (!facts.adoption().empty()) facts.set_adoption(created.SerializeAsString());
    });
  };
  const Case cases[] = {
      {"nobody answers", each([](v1::NodeFacts& facts) { facts.Clear(); }), v1::NODE_UNREACHABLE},
      {"the claim was released", each([](v1::NodeFacts& facts) { facts.mutable_claim()->set_active(false); }),
       v1::CLAIM_MISSING},
      {"nobody keeps it", each([](v1::NodeFacts& facts) { facts.clear_adoption(); }), v1::CLAIM_MISSING},
      {"another rollout was there since",
       [](Agents& agents) {
         v1::Claim& claim = *agents["s2"].facts.mutable_claim();
         claim.set_epoch(9);
         claim.set_rollout("another");
         agents["s2"].facts.clear_adoption();
       },
       v1::CLAIM_MISSING},
      {"damaged", each([](v1::NodeFacts& facts) { facts.set_adoption("\xff\xff"); }), v1::LOCAL_FAILURE},
      {"begun by a newer k3saga", with([](v1::RolloutCreated& created) { created.set_protocol(1000); }),
       v1::AGENT_VERSION_UNSUPPORTED},
  };
  for (const Case& one : cases) {
    Agents agents;
    one.spoil(agents);
    const KeptRollout kept = FindKept(agents.Facts());
    ASSERT_THAT(kept.refusals, SizeIs(1)) << one.what;
    EXPECT_EQ(kept.refusals[0].code(), one.code) << one.what << ": " << Describe(kept.refusals[0]);
  }
}

TEST(Adopt, JudgesEachNodeByWhatRunsAndWhatWasDone) {
  struct Case {
    const char* what;
    std::function<void(Agents&)> happened;
    Found::Found found;
  };
  const Case cases[] = {
      {"nothing happened", [](Agents&) {}, Found::AS_PLANNED},
      {"installed", [](Agents& a) { a.Installed("s2"); }, Found::AT_TARGET},
      {"installed, journal lost", [](Agents& a) { a.Runs("s2", kTo); }, Found::AT_TARGET},
      {"still being installed", [](Agents& a) { a.Did("s2", Agents::Install()); }, Found::FOUND_UNKNOWN},
      {"refused, nothing done",
       [](Agents& a) { a.Did("s2", Agents::Install(), Refused(v1::NODE_LEADS_ETCD)); }, Found::AS_PLANNED},
      {"failed before the touch",
       [](Agents& a) { a.Did("s2", Agents::Install(), Failed(v1::INSTALLER_FAILED)); }, Found::AS_PLANNED},
      {"put back by its agent",
       [](Agents& a) { a.Did("s2", Agents::Install(), Failed(v1::API_NOT_READY, v1::Outcome::PUT_BACK)); },
       Found::PUT_BACK},
      {"left broken",
       [](Agents& a) {
         a.Did("s2", Agents::Install(), Failed(v1::API_NOT_READY, v1::Outcome::BROKEN));
         a.Runs("s2", kTo);
       },
       Found::BROKEN},
      {"put back by the coordinator",
       [](Agents& a) {
         a.Installed("s2");
         v1::Outcome done;
         done.set_code(v1::Outcome::SUCCEEDED);
         done.set_node_state(v1::Outcome::PUT_BACK);
         a.Did("s2", Agents::PutBack(), done);
         a.Runs("s2", kFrom);
       },
       Found::PUT_BACK},
      {"down, the new binary in place",
       [](Agents& a) {
         a.Installed("s2");
         a.Runs("s2", "");
         a["s2"].facts.mutable_k3s()->set_binary_version(kTo);
       },
       Found::AT_TARGET},
      {"runs the target, the next start would bring another",
       [](Agents& a) {
         a.Runs("s2", kTo);
         a["s2"].facts.mutable_k3s()->set_binary_version(kFrom);
       },
       Found::BROKEN},
      {"runs something else", [](Agents& a) { a.Runs("s2", "v1.30.1+k3s1"); }, Found::BROKEN},
  };
  for (const Case& one : cases) {
    Agents agents;
    one.happened(agents);
    const Adoption adoption = agents.Adopt();
    ASSERT_THAT(adoption.refusals, IsEmpty()) << one.what;
    const v1::AdoptedNode& node = Node(adoption.adopted, "s2");
    EXPECT_EQ(Found::Found_Name(node.found()), Found::Found_Name(one.found)) << one.what;
    EXPECT_EQ(node.journal_id(), "journal-s2");
    const bool needs_reason = one.found == Found::PUT_BACK || one.found == Found::BROKEN;
    EXPECT_EQ(node.has_reason(), needs_reason) << one.what;
  }
}

TEST(Adopt, RefusesWhatItCannotKnow) {
  Agents silent;
  silent["s3"].facts.clear_journal_id();
  ASSERT_THAT(silent.Adopt().refusals, SizeIs(1));
  EXPECT_EQ(silent.Adopt().refusals[0].code(), v1::NODE_UNREACHABLE);

  Agents another;
  another.created().mutable_plan()->set_cluster_id("c1");
  another["w1"].facts.mutable_k3s()->set_cluster_id("c2");
  ASSERT_THAT(another.Adopt().refusals, SizeIs(1));
  EXPECT_EQ(another.Adopt().refusals[0].code(), v1::DIFFERENT_CLUSTER);

  Agents missing;
  missing.created().mutable_plan()->add_nodes()->set_name("w9");
  ASSERT_THAT(missing.Adopt().refusals, SizeIs(1));
  EXPECT_EQ(missing.Adopt().refusals[0].code(), v1::NODE_MISSING_FROM_FILE);
}

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
