#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/rules/rules.h"
#include "coordinator/core/saga.h"
#include "coordinator/core/tally.h"
#include "coordinator/core/way.h"
#include "tests/unit/core/plans.h"

// The rules of the ways back, each with what closes and what opens it.
namespace k3saga::core {
namespace {

State Restoring(int servers, int workers) {
  State state;
  v1::Event event;
  *event.mutable_created() = MakeRollback(servers, workers, true);
  EXPECT_TRUE(Apply(event, state).ok());
  for (uint32_t i = 0; i < state.nodes.size(); ++i) {
    NodeEdit node(state, i);
    node->claimed = true;
    node->stopped = node->server;
    node->fate = Fate::kMoved;
  }
  return state;
}

struct RuleCase {
  const char* what;
  Act act;
  const char* node;
  void (*spoil)(State&);
  v1::ReasonCode code;  // REASON_UNSPECIFIED: allowed
};

void Restored(State& state, const char* name) {
  NodeEdit node(state, state.roster->index.at(name));
  node->restored = true;
  node->stopped = false;
  state.data_restored = true;
}

void ProveRestored(State& state, int members) {
  state.proof = HealthyProof(state.plan());
  state.proof_issued_at = state.last_change + 1;
  for (v1::ServerProof& proof : *state.proof.mutable_servers()) {
    proof.clear_members();
    for (int i = 0; i < members; ++i) proof.add_members()->set_id(static_cast<uint64_t>(100 + i));
  }
}

const RuleCase kRuleCases[] = {
    {"a stop is allowed once workers are back", Act::kStop, "s1", [](State&) {}, v1::REASON_UNSPECIFIED},
    {"a worker that would be newer", Act::kStop, "s1",
     [](State& state) { NodeEdit(state, 3)->fate = Fate::kAsFound; }, v1::WORKERS_FIRST},
    {"a worker that is on its way", Act::kStop, "s1",
     [](State& state) { NodeEdit(state, 3)->fate = Fate::kTouching; }, v1::WORKERS_FIRST},
    {"a pause before the first stop", Act::kStop, "s1",
     [](State& state) {
       state.paused = true;
       for (uint32_t i = 0; i < 3; ++i) NodeEdit(state, i)->stopped = false;
     },
     v1::PAUSED_BY_USER},
    {"a pause after it", Act::kStop, "s1", [](State& state) { state.paused = true; }, v1::REASON_UNSPECIFIED},
    {"no quorum is asked for a reset", Act::kReset, "s2", [](State& state) { state.proof.Clear(); },
     v1::REASON_UNSPECIFIED},
    {"a server that still runs", Act::kReset, "s2", [](State& state) { NodeEdit(state, 2)->stopped = false; },
     v1::SERVER_STILL_RUNS},
    {"files of a server while another runs", Act::kSwap, "s2",
     [](State& state) { NodeEdit(state, 0)->stopped = false; }, v1::SERVER_STILL_RUNS},
    {"files of a peer, the restored one runs", Act::kSwap, "s1", [](State& state) { Restored(state, "s2"); },
     v1::REASON_UNSPECIFIED},
    {"files of a peer that runs", Act::kSwap, "s1",
     [](State& state) {
       Restored(state, "s2");
       NodeEdit(state, 0)->stopped = false;
     },
     v1::SERVER_STILL_RUNS},
    {"a peer before the reset is verified", Act::kRejoin, "s1", [](State&) {}, v1::RESTORED_FIRST},
    {"a peer without a fresh proof", Act::kRejoin, "s1", [](State& state) { Restored(state, "s2"); },
     v1::PROOF_MISSING},
    {"a peer once it is", Act::kRejoin, "s1",
     [](State& state) {
       Restored(state, "s2");
       ProveRestored(state, 1);
     },
     v1::REASON_UNSPECIFIED},
    {"a peer while a member too many is listed", Act::kRejoin, "s1",
     [](State& state) {
       Restored(state, "s2");
       ProveRestored(state, 2);
     },
     v1::MEMBERSHIP_CHANGED},
    {"a peer that was asked before may be that member", Act::kRejoin, "s1",
     [](State& state) {
       Restored(state, "s2");
       ProveRestored(state, 2);
       NodeEdit(state, 0)->attempts[Verb::kRejoin] = 1;
     },
     v1::REASON_UNSPECIFIED},
    {"a peer while the one before is a learner", Act::kRejoin, "s1",
     [](State& state) {
       Restored(state, "s2");
       Restored(state, "s3");
       ProveRestored(state, 2);
       state.proof.mutable_servers(2)->set_learner(true);
     },
     v1::MEMBER_LEARNER},
    {"a peer while another joins", Act::kRejoin, "s1",
     [](State& state) {
       Restored(state, "s2");
       ProveRestored(state, 1);
       NodeEdit other(state, 2);
       other->verb = Verb::kRejoin;
       other->open_operation = 7;
     },
     v1::ANOTHER_SERVER_OPEN},
};

TEST(WayBackRules, AnswerAsTheyShould) {
  for (const RuleCase& each : kRuleCases) {
    SCOPED_TRACE(each.what);
    State state = Restoring(3, 1);
    each.spoil(state);
    const Verdict verdict = Judge(AllRules(), state, {*state.Find(each.node), each.act, Direction::kBack});
    EXPECT_EQ(verdict.empty() ? v1::REASON_UNSPECIFIED : verdict.front().code(), each.code);
  }
}

}  // namespace
}  // namespace k3saga::core
