#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "k3saga/v1/event.pb.h"

// What a rollout is at one moment: the fold of its events so far, a plain value. Only Apply (saga.h) changes
// one; rules, Decide, driver, view and simulation read it. Nodes are numbered as in the plan: servers first.
namespace k3saga::core {

using Verb = v1::OperationSpec::VerbCase;
inline constexpr size_t kVerbs = 41;  // operation.proto reserves 1-40 for verbs

// Whose cordon a node carries, as far as this rollout knows.
enum class Cordon : uint8_t {
  kNone,
  kOurs,     // to be undone on every way out
  kTheirs,   // was there before us: stays
  kUnknown,  // we asked and never heard: asked to be undone as if ours (the agent looks at the annotation)
};

// What the rollout has made of the k3s on a node.
enum class Fate : uint8_t {
  kAsFound,   // runs what it ran before the rollout
  kTouching,  // an install or put-back is under way
  kMoved,     // runs the target
  kBack,      // was touched, and runs what it ran before again
  kBroken,    // neither, or not healthy
  kUnknown,   // the agent may or may not have acted
};

struct NodeState {
  const v1::PlannedNode* plan = nullptr;  // into Roster, which outlives every copy of this
  uint32_t index = 0;
  bool server = false;

  bool claimed = false;  // its agent acknowledged the current (epoch, holder)
  bool holds = false;    // its agent may hold a claim of ours, of whatever epoch: to be released
  bool staged = false;
  bool begun = false;  // the first thing a workload could notice was asked for (cordon, drain, install)
  Cordon cordon = Cordon::kNone;
  bool drained = false;
  Fate fate = Fate::kAsFound;
  Fate fate_before = Fate::kAsFound;  // what an outcome that touched nothing leaves it at
  bool going_back = false;            // being put back, or put back
  bool awaited = false;               // its Node object was seen Ready at the version it should run
  bool stopped = false;               // its k3s was stopped, and stays so until the datastore is back
  bool restored = false;              // serves the restored datastore; a worker: was restarted since
  bool failed = false;                // its chain gave up; `reason` says why
  uint32_t touch_order = 0;           // 1 for the first node touched in this rollout, 2, ...; 0: never
  uint32_t installs = 0;              // Install operations issued

  v1::NodeFinished::Result result = v1::NodeFinished::RESULT_UNSPECIFIED;
  v1::Reason reason;  // the last thing that went wrong, or why it finished as it did

  uint64_t open_operation = 0;  // sequence of the one about this node's chain; 0: none
  uint64_t open_claim = 0;      // claims run beside the chain
  uint64_t open_timer = 0;      // waits before the next attempt
  bool must_wait = false;       // the last attempt asks for a pause before the next one
  int32_t last_asked = -1;  // server that ran the last failed cluster-wide verb: another one is asked next
  Verb verb = Verb::VERB_NOT_SET;             // of the last operation issued for the chain
  std::array<uint8_t, kVerbs> attempts = {};  // since that verb last succeeded on this node

  // Servers: what the last proofs showed.
  uint32_t main_pid = 0;  // identity of the main process; 0: not seen since we last touched it
  uint64_t main_start_ticks = 0;
  bool was_ready = false;
  uint64_t crashed_at = 0;  // event number of the proof that showed it restarted or down, untouched by us

  const std::string& name() const { return plan->name(); }
  bool finished() const { return result != v1::NodeFinished::RESULT_UNSPECIFIED; }
  // Started and not yet finished: counts as unavailable.
  bool in_flight() const { return begun && !finished(); }
  bool moved() const { return plan->at_target() || fate == Fate::kMoved; }  // runs the target
  bool ours_cordoned() const { return cordon == Cordon::kOurs || cordon == Cordon::kUnknown; }
  bool busy() const { return open_operation != 0 || open_timer != 0; }
};

// A node of which nothing is known but the plan.
NodeState AsPlanned(const v1::PlannedNode& planned, uint32_t index);

// For people: where a node is in the rollout.
enum class Phase : uint8_t {
  kPending,
  kClaiming,
  kStaging,
  kStaged,
  kBackingUp,
  kMovingLeader,
  kCordoning,
  kDraining,
  kInstalling,
  kAwaiting,
  kUncordoning,
  kPuttingBack,
  kWaitingToRetry,
  kStopping,
  kStopped,
  kRestoring,
  kRejoining,
  kRestarting,
  kUpgraded,
  kUnchanged,
  kPutBack,
  kReturned,
  kFailed,
  kSkipped,
};
Phase PhaseOf(const NodeState& node);

struct StepState {
  v1::Step step = v1::STEP_UNSPECIFIED;
  v1::Reason because;      // empty for the way forward
  int64_t entered_ms = 0;  // wall time, for people
  int64_t left_ms = 0;     // 0: current
};

struct Backup {
  std::string node;
  v1::BackupResult result;
};

// Number of nodes in each situation that a rule asks about; kept by the fold so that rules cost O(1).
struct Tally {
  uint32_t servers = 0;
  uint32_t servers_moved = 0;  // run the target (moved by us, or at the target before)
  uint32_t servers_claimed = 0;
  uint32_t workers = 0;
  uint32_t workers_to_upgrade = 0;  // not at the target when the rollout began
  uint32_t workers_in_flight = 0;
  uint32_t workers_upgraded = 0;     // by this rollout (a rollback: put back), verified
  uint32_t workers_failed = 0;       // finished as FAILED or PUT_BACK
  uint32_t workers_unavailable = 0;  // in flight, unknown, left broken, or unavailable before and still so
};

// The plan and the numbers of its nodes; shared by all copies of a state.
struct Roster {
  v1::RolloutCreated created;
  std::unordered_map<std::string, uint32_t> index;  // looked up, never iterated

  const v1::Plan& plan() const { return created.plan(); }
};

struct ProbeState {
  v1::ProbeIssued issued;
  uint64_t issued_at = 0;  // event number
};

// The objects of Plan.remedies in the cluster's API.
struct RemedyState {
  enum class Standing : uint8_t {
    kNone,
    kApplied,  // to be removed on every way out
    kUnknown,  // asked for and never heard: asked for again, removed as if applied
  };
  Standing standing = Standing::kNone;
  uint64_t open = 0;  // sequence of the operation under way; 0: none
  Verb verb = Verb::VERB_NOT_SET;
  uint32_t attempts = 0;   // of that verb since it last succeeded
  bool must_wait = false;  // the last attempt failed: a pause comes first
  bool given_up = false;   // attempts of that verb are spent
  v1::Reason failure;      // code 0: none
};

// The user's gate, as last answered. An answer counts until the next node was touched or finished.
struct GateState {
  uint64_t answered_at = 0;  // event number; 0: never
  uint64_t stale_at = 0;     // event number after which older answers say nothing
  bool open = false;
  v1::Reason reason;  // why it is closed
};

struct State {
  std::shared_ptr<const Roster> roster;  // null before RolloutCreated
  uint64_t events = 0;                   // folded so far; the number of the last event
  uint64_t next_sequence = 1;            // shared by operations, probes and timers
  std::string holder;
  uint64_t epoch = 0;

  bool paused = false;
  bool aborting = false;
  bool fenced = false;  // an agent answered that another (epoch, holder) is current
  v1::Reason fenced_reason;
  std::string commanded_by;  // who gave the last command

  v1::Step step = v1::STEP_UNSPECIFIED;
  std::vector<StepState> steps;  // in the order entered; the last one is current
  std::vector<NodeState> nodes;  // servers first, as in the plan
  Tally tally;

  // What was asked for and not answered: dispatched by whoever runs the rollout, again after a restart.
  std::map<uint64_t, v1::OperationIssued> open_operations;
  std::map<uint64_t, ProbeState> open_probes;
  std::map<uint64_t, v1::ExternalGateAsked> open_gates;
  std::map<uint64_t, v1::TimerSet> open_timers;  // armed in full after a restart

  std::vector<Backup> backups;
  uint32_t backup_attempts = 0;
  uint64_t open_backup = 0;
  v1::Reason backup_failure;  // of the last attempt

  RemedyState remedy;
  GateState gate;

  // The last probe round. Gates are judged by it while no change is newer than its question.
  v1::GateProved proof;
  uint64_t proof_issued_at = 0;  // event number of its question; 0: none yet
  bool proof_with_nodes = false;
  uint64_t last_change = 0;          // event number after which older questions prove nothing
  std::string etcd_cluster_version;  // as first proved

  v1::Reason ends;  // adopted only to be ended; code 0: it goes on
  bool past_return = false;
  std::string past_return_because;

  // The datastore comes back from a backup: by plan, or as compensation past the point of no return.
  bool restores = false;
  // Files of a stopped server, or its datastore, were asked to be replaced: from here on the only way is to
  // the end.
  bool resetting = false;
  bool data_restored = false;    // the datastore is another one: members have new ids
  std::string velero_backup;     // of Velero's own, taken before the first change; "": none
  bool velero_restored = false;  // or given up, with a reason
  v1::Reason velero_failure;

  // Why nothing moves; empty when something does.
  std::string held_node;
  std::vector<v1::Reason> held;
  uint64_t held_ms = 0;     // waited at closed gates since the last progress
  uint64_t gate_timer = 0;  // the open timer behind that wait

  v1::Reason stop;          // why the rollout left the way forward; code 0: it did not
  uint32_t touches = 0;     // operations issued that stop or start a k3s
  uint64_t last_touch = 0;  // event number of the last outcome of one on a server

  v1::RolloutEnded::Result result = v1::RolloutEnded::RESULT_UNSPECIFIED;
  v1::Reason end_reason;
  int64_t created_ms = 0;
  int64_t ended_ms = 0;

  bool created() const { return roster != nullptr; }
  bool ended() const { return result != v1::RolloutEnded::RESULT_UNSPECIFIED; }
  const v1::Plan& plan() const { return roster->plan(); }
  const v1::Policies& policies() const { return plan().policies(); }
  const std::string& rollout() const { return roster->created.rollout(); }
  uint32_t servers() const { return tally.servers; }
  bool proof_fresh() const { return proof_issued_at > last_change; }
  // Nothing runs and nothing is waited for: a paused coordinator may go home.
  bool quiet() const {
    return open_operations.empty() && open_probes.empty() && open_gates.empty() && open_timers.empty();
  }
  // null when the plan has no such node.
  const NodeState* Find(std::string_view name) const;
};

// The first sequence number under an epoch. Two coordinators of one rollout (one was taken over and does not
// know it yet) never give one name to two operations.
inline constexpr uint64_t FirstSequence(uint64_t epoch) { return epoch * 1'000'000'000 + 1; }

// Whether an operation that is open may be asked for now. After a resume or takeover nothing but claims may,
// until every server's agent has acknowledged the new (epoch, holder): what an earlier process committed may
// never have been sent.
bool MayBeAsked(const State& state, const v1::OperationIssued& issued);

// What a server's agent proved in the last round; null when there was none.
const v1::ServerProof* ProofOf(const State& state, const NodeState& server);

}  // namespace k3saga::core
