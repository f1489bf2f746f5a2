#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/rules/rules.h"
#include "coordinator/core/tally.h"
#include "tests/unit/core/plans.h"
#include "tests/unit/core/stage.h"

// Every rule by itself: a state in which it allows, spoiled by one thing, and the reason it must answer with.
namespace k3saga::core {
namespace {

// In the middle of the server step with a fresh, healthy proof: everything is allowed for s2.
State Ready(int servers = 3, int workers = 4) {
  const v1::RolloutCreated created = MakeRollout(servers, workers);
  State state;
  v1::Event event;
  *event.mutable_created() = created;
  EXPECT_TRUE(Apply(event, state).ok());
  for (uint32_t i = 0; i < state.nodes.size(); ++i) {
    NodeEdit node(state, i);
    node->claimed = true;
    node->staged = true;
  }
  state.backups.push_back({"s1", {}});
  state.proof = HealthyProof(state.plan());
  state.proof_issued_at = state.events + 1;
  return state;
}

v1::Plan& PlanOf(State& state) { return *const_cast<Roster&>(*state.roster).created.mutable_plan(); }
v1::ServerProof& Proof(State& state, int server) { return *state.proof.mutable_servers(server - 1); }

void Move(State& state, uint32_t server) {
  NodeEdit node(state, server - 1);
  node->begun = true;
  node->fate = Fate::kMoved;
  node->result = v1::NodeFinished::UPGRADED;
  ++state.touches;
}

void MoveServers(State& state) {
  for (uint32_t i = 1; i <= state.servers(); ++i) Move(state, i);
}

void Begin(State& state, const char* name) { NodeEdit(state, state.roster->index.at(name))->begun = true; }

// Was not available before the rollout.
void Leave(State& state, uint32_t index) {
  NodeEdit node(state, index);
  PlanOf(state).mutable_nodes(static_cast<int>(index))->set_was_available(false);
}

void Crash(State& state, int server, uint64_t at) {
  state.nodes[static_cast<size_t>(server) - 1].crashed_at = at;
  Proof(state, server).set_ready_for_ms(2000);
}

// SQLite or an external datastore: nobody runs etcd.
State WithoutEtcd(int servers) {
  State state = Ready(servers, 0);
  PlanOf(state).clear_members();
  for (int i = 0; i < servers; ++i) {
    PlanOf(state).mutable_nodes(i)->clear_member_id();
    v1::ServerProof& proof = Proof(state, i + 1);
    proof.clear_member_id();
    proof.clear_leader_id();
    proof.clear_members();
    proof.set_etcd_serving(false);
  }
  return state;
}

void AddRemedy(State& state) { PlanOf(state).add_remedies()->set_trouble("renamed-role"); }

// The user's gate said yes (or no) before the next node.
void AnswerGate(State& state, bool open) {
  PlanOf(state).mutable_policies()->mutable_gate()->add_command("/bin/true");
  state.gate.stale_at = 1;
  state.gate.answered_at = 2;
  state.gate.open = open;
  state.gate.reason.set_code(v1::EXTERNAL_GATE_CLOSED);
}

struct Case {
  const char* name;
  Verdict (*rule)(const State&, const Context&);
  v1::ReasonCode expected;  // REASON_UNSPECIFIED: allowed
  const char* node;
  Act act;
  Direction direction;
  void (*spoil)(State&);
};

constexpr v1::ReasonCode kAllowed = v1::REASON_UNSPECIFIED;
constexpr auto kForward = Direction::kForward;
constexpr auto kBack = Direction::kBack;
constexpr auto kBegin = Act::kBegin;
constexpr auto kTouch = Act::kTouch;

// clang-format off
const Case kCases[] = {
    {"NotPaused", NotPaused, kAllowed, "s2", kBegin, kForward, [](State&) {}},
    {"Paused", NotPaused, v1::PAUSED_BY_USER, "s2", kBegin, kForward, [](State& s) { s.paused = true; }},
    {"PausedLetsWhatRunsFinish", NotPaused, kAllowed, "s2", kTouch, kForward, [](State& s) { s.paused = true; }},
    {"Aborting", NotAborting, v1::ABORTED_BY_USER, "w1", kBegin, kForward, [](State& s) { s.aborting = true; }},

    {"Claimed", Claims, kAllowed, "s2", kTouch, kForward, [](State&) {}},
    {"OtherServerUnclaimed", Claims, v1::CLAIM_MISSING, "s2", kTouch, kForward, [](State& s) { NodeEdit(s, 2)->claimed = false; }},
    {"WorkerItselfUnclaimed", Claims, v1::CLAIM_MISSING, "w1", kTouch, kForward, [](State& s) { NodeEdit(s, 3)->claimed = false; }},
    {"OtherWorkerUnclaimed", Claims, kAllowed, "w1", kTouch, kForward, [](State& s) { NodeEdit(s, 4)->claimed = false; }},
    {"UnclaimedOnTheWayBack", Claims, v1::CLAIM_MISSING, "s2", kTouch, kBack, [](State& s) { NodeEdit(s, 0)->claimed = false; }},

    {"NoBackup", BackupFirst, v1::BACKUP_MISSING, "s2", kTouch, kForward, [](State& s) { s.backups.clear(); }},
    {"NoBackupWanted", BackupFirst, kAllowed, "s2", kTouch, kForward,
     [](State& s) { s.backups.clear(); PlanOf(s).mutable_policies()->mutable_backup()->set_enabled(false); }},
    {"WayBackNeedsNoBackup", BackupFirst, kAllowed, "s2", kTouch, kBack, [](State& s) { s.backups.clear(); }},

    {"NotStaged", Staged, v1::NOT_STAGED, "s2", kTouch, kForward, [](State& s) { s.nodes[1].staged = false; }},
    {"WayBackNeedsNoStage", Staged, kAllowed, "s2", kTouch, kBack, [](State& s) { s.nodes[1].staged = false; }},

    {"NoServerOpen", OneServer, kAllowed, "s2", kTouch, kForward, [](State& s) { Move(s, 1); }},
    {"ServerBeingTouched", OneServer, v1::ANOTHER_SERVER_OPEN, "s2", kTouch, kForward, [](State& s) { s.nodes[0].fate = Fate::kTouching; }},
    {"ServerUnknown", OneServer, v1::ANOTHER_SERVER_OPEN, "s2", kTouch, kForward, [](State& s) { s.nodes[0].fate = Fate::kUnknown; }},
    {"UnknownGoesBeforeOneOnlyCordoned", OneServer, kAllowed, "s2", kTouch, kForward,
     [](State& s) { s.nodes[1].fate = Fate::kUnknown; Begin(s, "s1"); s.nodes[0].cordon = Cordon::kOurs; }},
    {"UnknownWaitsForOneThatIsAtWork", OneServer, v1::ANOTHER_SERVER_OPEN, "s2", kTouch, kForward,
     [](State& s) { s.nodes[1].fate = Fate::kUnknown; Begin(s, "s1"); s.nodes[0].open_operation = 7; }},
    {"OneOnlyCordonedWaitsForUnknown", OneServer, v1::ANOTHER_SERVER_OPEN, "s1", kTouch, kForward,
     [](State& s) { s.nodes[1].fate = Fate::kUnknown; Begin(s, "s1"); s.nodes[0].cordon = Cordon::kOurs; }},
    {"ServerAwaitingReadyMayOverlap", OneServer, kAllowed, "s2", kTouch, kForward,
     [](State& s) { Move(s, 1); s.nodes[0].result = v1::NodeFinished::RESULT_UNSPECIFIED; }},
    {"ServerStillCordonedMayOverlap", OneServer, kAllowed, "s2", kTouch, kForward,
     [](State& s) { Move(s, 1); s.nodes[0].result = v1::NodeFinished::RESULT_UNSPECIFIED; s.nodes[0].cordon = Cordon::kOurs; }},
    {"ServerStillDrained", OneServer, v1::ANOTHER_SERVER_OPEN, "s2", kTouch, kForward,
     [](State& s) { Move(s, 1); s.nodes[0].result = v1::NodeFinished::RESULT_UNSPECIFIED; s.nodes[0].cordon = Cordon::kOurs; s.nodes[0].drained = true; }},
    {"UnknownServerDoesNotBlockRepair", OneServer, kAllowed, "s2", kTouch, kBack, [](State& s) { s.nodes[0].fate = Fate::kUnknown; }},
    {"TouchedServerBlocksRepair", OneServer, v1::ANOTHER_SERVER_OPEN, "s2", kTouch, kBack, [](State& s) { s.nodes[0].fate = Fate::kTouching; }},

    {"ServersNotYet", ServersFirst, v1::SERVERS_FIRST, "w1", kTouch, kForward, [](State& s) { Move(s, 1); Move(s, 2); }},
    {"ServersDone", ServersFirst, kAllowed, "w1", kTouch, kForward, MoveServers},

    {"BudgetSpent", FailureBudget, v1::FAILURE_BUDGET_SPENT, "w2", kBegin, kForward,
     [](State& s) { NodeEdit(s, 3)->result = v1::NodeFinished::FAILED; }},
    {"BudgetLeft", FailureBudget, kAllowed, "w2", kBegin, kForward,
     [](State& s) { NodeEdit(s, 3)->result = v1::NodeFinished::FAILED;
                    v1::WorkerPolicy& p = *PlanOf(s).mutable_policies()->mutable_workers();
                    p.set_on_failure(v1::ON_FAILURE_SKIP); p.mutable_failure_budget()->set_value(1); }},
    {"BudgetDoesNotStopWhatRuns", FailureBudget, kAllowed, "w2", kTouch, kForward,
     [](State& s) { NodeEdit(s, 3)->result = v1::NodeFinished::FAILED; }},

    {"CanaryItself", CanaryFirst, kAllowed, "w1", kBegin, kForward,
     [](State& s) { PlanOf(s).mutable_policies()->mutable_workers()->set_canary(1); }},
    {"CanaryRuns", CanaryFirst, v1::CANARY_FIRST, "w2", kBegin, kForward,
     [](State& s) { PlanOf(s).mutable_policies()->mutable_workers()->set_canary(1); Begin(s, "w1"); }},
    {"CanaryVerified", CanaryFirst, kAllowed, "w2", kBegin, kForward,
     [](State& s) { PlanOf(s).mutable_policies()->mutable_workers()->set_canary(1); Begin(s, "w1");
                    NodeEdit(s, 3)->result = v1::NodeFinished::UPGRADED; }},

    {"UnderTheLimit", UnavailableLimit, kAllowed, "w2", kBegin, kForward, [](State& s) { Begin(s, "w1"); }},
    {"AtTheLimit", UnavailableLimit, v1::UNAVAILABLE_LIMIT, "w3", kBegin, kForward, [](State& s) { Begin(s, "w1"); Begin(s, "w2"); }},
    {"UnknownNodesCount", UnavailableLimit, v1::UNAVAILABLE_LIMIT, "w3", kBegin, kForward,
     [](State& s) { NodeEdit(s, 3)->fate = Fate::kUnknown; NodeEdit(s, 4)->fate = Fate::kBroken; }},
    {"NodesAwayBeforeCount", UnavailableLimit, v1::UNAVAILABLE_LIMIT, "w3", kBegin, kForward,
     [](State& s) { Leave(s, 3); Leave(s, 4); }},
    {"NodeThatIsAwayItselfCostsNothing", UnavailableLimit, kAllowed, "w3", kBegin, kForward,
     [](State& s) { Begin(s, "w1"); Begin(s, "w2"); NodeEdit(s, 5)->fate = Fate::kBroken; }},

    {"StaleProof", ProofFresh, v1::PROOF_MISSING, "s2", kTouch, kForward, [](State& s) { s.last_change = s.proof_issued_at; }},
    {"WorkersNeedNoProof", ProofFresh, kAllowed, "w1", kTouch, kForward, [](State& s) { s.last_change = s.proof_issued_at; }},

    {"Quorum", QuorumGate, kAllowed, "s2", kTouch, kForward, [](State&) {}},
    {"OtherDoesNotServe", QuorumGate, v1::MEMBER_UNHEALTHY, "s2", kTouch, kForward, [](State& s) { Proof(s, 3).set_etcd_serving(false); }},
    {"OtherUnreachable", QuorumGate, v1::NODE_UNREACHABLE, "s2", kTouch, kForward, [](State& s) { Proof(s, 3).set_reachable(false); }},
    {"OtherLearns", QuorumGate, v1::MEMBER_LEARNER, "s2", kTouch, kForward, [](State& s) { Proof(s, 3).set_learner(true); }},
    {"OtherAlarms", QuorumGate, v1::MEMBER_ALARM, "s2", kTouch, kForward, [](State& s) { Proof(s, 3).add_alarms("NOSPACE"); }},
    {"NoLeader", QuorumGate, v1::NO_LEADER, "s2", kTouch, kForward, [](State& s) { Proof(s, 3).set_leader_id(0); }},
    {"OtherBehind", QuorumGate, v1::MEMBER_BEHIND, "s2", kTouch, kForward, [](State& s) { Proof(s, 1).set_applied_index(1'000'000); Proof(s, 2).set_applied_index(1'000'000); }},
    {"MembersChanged", QuorumGate, v1::MEMBERSHIP_CHANGED, "s2", kTouch, kForward, [](State& s) { Proof(s, 3).mutable_members()->RemoveLast(); }},
    {"OtherApiNotReady", QuorumGate, v1::SERVER_NOT_READY, "s2", kTouch, kForward, [](State& s) { Proof(s, 3).set_ready(false); }},
    {"DownItselfCostsNothing", QuorumGate, kAllowed, "s2", kTouch, kForward,
     [](State& s) { Proof(s, 2).set_ready(false); Proof(s, 2).set_etcd_serving(false); Proof(s, 3).set_etcd_serving(false); }},
    {"FiveWithOneBrokenAreStillRefusedForward", QuorumGate, v1::MEMBER_UNHEALTHY, "s2", kTouch, kForward,
     [](State& s) { s = Ready(5, 0); Proof(s, 5).set_etcd_serving(false); }},
    {"FiveWithOneBrokenMayGoBack", QuorumGate, kAllowed, "s2", kTouch, kBack,
     [](State& s) { s = Ready(5, 0); Proof(s, 5).set_etcd_serving(false); }},
    {"ThreeWithOneBrokenMayNotGoBack", QuorumGate, v1::MEMBER_UNHEALTHY, "s2", kTouch, kBack,
     [](State& s) { Proof(s, 3).set_etcd_serving(false); }},
    {"TwoServersWithConsent", QuorumGate, kAllowed, "s2", kTouch, kForward, [](State& s) { s = Ready(2, 0); }},
    {"TwoServersWithoutConsent", QuorumGate, v1::QUORUM_WOULD_BE_LOST, "s2", kTouch, kForward,
     [](State& s) { s = Ready(2, 0); PlanOf(s).set_consent_outage(false); }},
    {"FourAreNoBetterThanThree", QuorumGate, v1::MEMBER_UNHEALTHY, "s2", kTouch, kBack,
     [](State& s) { s = Ready(4, 0); Proof(s, 3).set_etcd_serving(false); Proof(s, 4).set_ready(false); }},
    {"FourHealthy", QuorumGate, kAllowed, "s2", kTouch, kForward, [](State& s) { s = Ready(4, 0); }},
    {"FiveWithTwoBrokenMayNotGoBack", QuorumGate, v1::MEMBER_UNHEALTHY, "s2", kTouch, kBack,
     [](State& s) { s = Ready(5, 0); for (int i : {1, 4, 5}) Proof(s, i).set_etcd_serving(false); }},
    {"LeftoverLearnerIsNoVoter", QuorumGate, v1::MEMBER_LEARNER, "s2", kTouch, kForward,
     [](State& s) { s = Ready(4, 0); PlanOf(s).mutable_members(3)->set_learner(true); Proof(s, 4).set_learner(true); }},
    {"ListedButGone", QuorumGate, v1::MEMBERSHIP_CHANGED, "s2", kTouch, kForward,
     [](State& s) { Proof(s, 1).add_members()->set_id(99); }},
    {"SqliteAlone", QuorumGate, kAllowed, "s1", kTouch, kForward, [](State& s) { s = WithoutEtcd(1); }},
    {"ExternalIsGatedByTheOthersApi", QuorumGate, v1::SERVER_NOT_READY, "s2", kTouch, kForward,
     [](State& s) { s = WithoutEtcd(2); Proof(s, 1).set_ready(false); }},
    {"ExternalWithTheOthersReady", QuorumGate, kAllowed, "s2", kTouch, kForward, [](State& s) { s = WithoutEtcd(2); }},
    {"ExternalHasNoLeader", LeaderMoved, kAllowed, "s1", kTouch, kForward, [](State& s) { s = WithoutEtcd(2); }},
    {"OneServerWithConsent", QuorumGate, kAllowed, "s1", kTouch, kForward, [](State& s) { s = Ready(1, 0); }},

    {"Settled", StabilityGate, kAllowed, "s2", kTouch, kForward, [](State&) {}},
    {"OtherNotSettled", StabilityGate, v1::SERVER_NOT_SETTLED, "s2", kTouch, kForward, [](State& s) { Proof(s, 1).set_ready_for_ms(14'999); }},
    {"ItselfNotSettled", StabilityGate, v1::SERVER_NOT_SETTLED, "s2", kTouch, kForward, [](State& s) { Proof(s, 2).set_ready_for_ms(1); }},
    {"DownItselfIsNotWaitedFor", StabilityGate, kAllowed, "s2", kTouch, kForward,
     [](State& s) { Proof(s, 2).set_ready(false); Proof(s, 2).set_etcd_serving(false); }},
    {"CrashedOneGoesNext", StabilityGate, kAllowed, "s2", kTouch, kForward, [](State& s) { Move(s, 1); Crash(s, 2, 5); }},
    {"OtherThanTheCrashedOneWaits", StabilityGate, v1::SERVER_RESTARTED, "s3", kTouch, kForward, [](State& s) { Move(s, 1); Crash(s, 2, 5); }},
    {"LatestCrashedGoesNext", StabilityGate, kAllowed, "s2", kTouch, kForward, [](State& s) { Move(s, 1); Crash(s, 3, 5); Crash(s, 2, 6); }},
    {"EarlierCrashedWaits", StabilityGate, v1::SERVER_RESTARTED, "s3", kTouch, kForward, [](State& s) { Move(s, 1); Crash(s, 3, 5); Crash(s, 2, 6); }},
    {"MovedServerCrashed", StabilityGate, v1::SERVER_RESTARTED, "s2", kTouch, kForward, [](State& s) { Move(s, 1); Crash(s, 1, 5); }},
    {"CrashBeforeAnyMoveIsWaitedFor", StabilityGate, v1::SERVER_RESTARTED, "s2", kTouch, kForward, [](State& s) { Crash(s, 2, 5); }},
    {"CrashBeforeTheLastTouchIsOld", StabilityGate, v1::SERVER_RESTARTED, "s2", kTouch, kForward,
     [](State& s) { Move(s, 1); Crash(s, 2, 5); s.last_touch = 6; }},
    {"WayBackWaitsForTheOthers", StabilityGate, v1::SERVER_NOT_SETTLED, "s2", kTouch, kBack, [](State& s) { Proof(s, 1).set_ready_for_ms(1); }},
    {"WayBackDoesNotWaitForTheFailedOne", StabilityGate, kAllowed, "s2", kTouch, kBack, [](State& s) { Proof(s, 2).set_ready(false); }},

    {"Leads", LeaderMoved, v1::NODE_LEADS_ETCD, "s1", kTouch, kForward, [](State&) {}},
    {"DoesNotLead", LeaderMoved, kAllowed, "s2", kTouch, kForward, [](State&) {}},
    {"LeaderMayBeDrained", LeaderMoved, kAllowed, "s1", kBegin, kForward, [](State&) {}},
    {"OnlyMemberLeadsAlways", LeaderMoved, kAllowed, "s1", kTouch, kForward, [](State& s) { s = Ready(1, 0); }},
    {"DownServerDoesNotLead", LeaderMoved, kAllowed, "s1", kTouch, kForward,
     [](State& s) { Proof(s, 1).set_ready(false); Proof(s, 1).set_etcd_serving(false); }},
    {"NoGate", ExternalGate, kAllowed, "w1", kBegin, kForward, [](State&) {}},
    {"GateOpen", ExternalGate, kAllowed, "w1", kBegin, kForward, [](State& s) { AnswerGate(s, true); }},
    {"GateClosed", ExternalGate, v1::EXTERNAL_GATE_CLOSED, "w1", kBegin, kForward,
     [](State& s) { AnswerGate(s, false); }},
    {"GateClosedForServersToo", ExternalGate, v1::EXTERNAL_GATE_CLOSED, "s2", kBegin, kForward,
     [](State& s) { AnswerGate(s, false); }},
    {"GateAnsweredBeforeTheLastNode", ExternalGate, v1::GATE_NOT_ASKED, "w1", kBegin, kForward,
     [](State& s) {
       AnswerGate(s, true);
       s.gate.stale_at = 3;
     }},
    {"GateLetsWhatWasBegunGoOn", ExternalGate, kAllowed, "w1", kTouch, kForward,
     [](State& s) { AnswerGate(s, false); }},
    {"GateDoesNotHinderTheWayBack", ExternalGate, kAllowed, "s2", kBegin, kBack,
     [](State& s) { AnswerGate(s, false); }},
    {"GateDoesNotHoldAServerThatCrashesUntilItIsMoved", ExternalGate, kAllowed, "s2", kBegin, kForward,
     [](State& s) {
       Move(s, 1);
       Crash(s, 2, 40);
       AnswerGate(s, false);
     }},
    {"RemediesAllowWhenThereAreNone", RemediesApplied, kAllowed, "s2", kTouch, kForward, [](State&) {}},
    {"RemediesComeBeforeTheFirstServer", RemediesApplied, v1::REMEDY_MISSING, "s2", kTouch, kForward, AddRemedy},
    {"RemediesThatMayBeThereAreAppliedAgain", RemediesApplied, v1::REMEDY_MISSING, "s2", kTouch, kForward,
     [](State& state) {
       AddRemedy(state);
       state.remedy.standing = RemedyState::Standing::kUnknown;
     }},
    {"RemediesThatAreThereAllow", RemediesApplied, kAllowed, "s2", kTouch, kForward,
     [](State& state) {
       AddRemedy(state);
       state.remedy.standing = RemedyState::Standing::kApplied;
     }},
    {"RemediesDoNotHinderTheWayBack", RemediesApplied, kAllowed, "s2", kTouch, kBack, AddRemedy},
    {"RemediesAreNoMatterOfWorkers", RemediesApplied, kAllowed, "w1", kBegin, kForward, AddRemedy},
};
// clang-format on

class Rules : public testing::TestWithParam<Case> {};

TEST_P(Rules, Answer) {
  State state = Ready();
  GetParam().spoil(state);
  const NodeState* node = state.Find(GetParam().node);
  ASSERT_NE(node, nullptr);
  const Verdict verdict = GetParam().rule(state, {*node, GetParam().act, GetParam().direction});
  const v1::ReasonCode code = verdict.empty() ? kAllowed : verdict.front().code();
  EXPECT_EQ(v1::ReasonCode_Name(code), v1::ReasonCode_Name(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(Table, Rules, testing::ValuesIn(kCases),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(RuleTable, EveryRuleHasAName) {
  std::set<std::string_view> names;
  for (const Rule& rule : AllRules()) EXPECT_TRUE(names.insert(rule.name).second) << rule.name;
  EXPECT_EQ(names.size(), 20u);
}

TEST(RuleTable, HealthyClusterAllowsTheNextServer) {
  const State state = Ready();
  EXPECT_TRUE(Judge(AllRules(), state, {*state.Find("s2"), Act::kTouch, Direction::kForward}).empty());
}

}  // namespace
}  // namespace k3saga::core
