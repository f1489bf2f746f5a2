#include "coordinator/core/adopt.h"

#include "common/reason.h"
#include "tests/unit/core/agents.h"

// What agents keep of such a rollout, and what is made of each node.
namespace k3saga::core {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using Found = v1::AdoptedNode;

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

// While no server's API answers, the agents' journals say whose the cordons are.
TEST(Adopt, KnowsItsCordonsWithoutAnApi) {
  v1::OperationSpec cordon;
  cordon.mutable_cordon()->set_node("w1");
  v1::OperationSpec uncordon;
  uncordon.mutable_uncordon()->set_node("w1");
  v1::Outcome done;
  done.set_code(v1::Outcome::SUCCEEDED);
  done.mutable_cordon();
  v1::Outcome users = done;
  users.mutable_cordon()->set_cordoned_before(true);
  v1::Outcome failed;
  failed.set_code(v1::Outcome::FAILED);
  using Did = std::vector<std::pair<v1::OperationSpec, v1::Outcome>>;
  const std::tuple<const char*, Did, bool> cases[] = {
      {"nothing was asked", {}, false},
      {"cordoned", {{cordon, done}}, true},
      {"it was the user's", {{cordon, users}}, false},
      {"taken off", {{cordon, done}, {uncordon, done}}, false},
      {"could not be taken off", {{cordon, done}, {uncordon, failed}, {uncordon, failed}}, true},
      {"may be taken off after this look", {{cordon, done}, {uncordon, {}}}, true},
  };
  for (const auto& [what, did, ours] : cases) {
    Agents agents;
    agents["s1"].facts.clear_nodes();
    for (const auto& [spec, outcome] : did) agents.Did("s1", spec, outcome);
    EXPECT_EQ(Node(agents.Adopt().adopted, "w1").cordoned_by_us(), ours) << what;
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

}  // namespace
}  // namespace k3saga::core
