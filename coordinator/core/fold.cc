#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/status_macros.h"
#include "coordinator/core/adopted.h"
#include "coordinator/core/saga.h"
#include "coordinator/core/settle.h"
#include "coordinator/core/tally.h"

// One function an event. Each checks first and changes the state only when nothing is wrong any more.
namespace k3saga::core {
namespace {

absl::Status Impossible(const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat("the journal does not fit together: ", why,
                   "; it was written by another program or damaged, and is left as it is"));
}

absl::Status TakeSequence(uint64_t sequence, State& state) {
  if (sequence != state.next_sequence) {
    return Impossible(absl::StrCat("sequence ", sequence, " where ", state.next_sequence, " has to follow"));
  }
  ++state.next_sequence;
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> IndexOf(const std::string& name, const State& state) {
  const auto found = state.roster->index.find(name);
  if (found == state.roster->index.end())
    return Impossible(absl::StrCat("the plan has no node \"", name, "\""));
  return found->second;
}

// Something moves: nothing is held any more.
void Progress(State& state) {
  state.held.clear();
  state.held_node.clear();
  state.held_ms = 0;
}

absl::Status FoldCreated(const v1::Event& event, State& state) {
  if (state.created()) return Impossible("a second RolloutCreated");
  auto roster = std::make_shared<Roster>();
  roster->created = event.created();
  bool workers = false;
  for (const v1::PlannedNode& node : roster->plan().nodes()) {
    const auto number = static_cast<uint32_t>(roster->index.size());
    if (!roster->index.emplace(node.name(), number).second) {
      return Impossible(absl::StrCat("the plan names \"", node.name(), "\" twice"));
    }
    if (node.role() == v1::ROLE_SERVER && workers) return Impossible("a server after a worker in the plan");
    workers = workers || node.role() != v1::ROLE_SERVER;
  }
  for (const v1::PlannedNode& planned : roster->plan().nodes()) {
    state.nodes.push_back(AsPlanned(planned, static_cast<uint32_t>(state.nodes.size())));
    Join(state.nodes.back(), state.tally);
  }
  const v1::Plan& plan = roster->plan();
  state.restores = plan.kind() != v1::Plan::UPGRADE && plan.has_restore_from();
  state.roster = std::move(roster);
  state.holder = event.created().holder();
  state.epoch = event.created().epoch();
  state.created_ms = event.unix_ms();
  return absl::OkStatus();
}

absl::Status FoldResumed(const v1::RolloutResumed& resumed, uint64_t now, State& state) {
  if (resumed.epoch() <= state.epoch) {
    return Impossible(absl::StrCat("resumed under epoch ", resumed.epoch(), " after ", state.epoch));
  }
  state.next_sequence = std::max(state.next_sequence, FirstSequence(resumed.epoch()));
  state.holder = resumed.holder();
  state.epoch = resumed.epoch();
  state.paused = false;
  state.last_change = now;
  state.gate.stale_at = now;
  for (const NodeState& each : state.nodes) {
    // A claim asked for under the old epoch says nothing about the new one.
    const auto open = state.open_operations.find(each.open_claim);
    const bool claiming = open != state.open_operations.end() && open->second.spec().has_claim();
    NodeEdit node(state, each.index);
    if (claiming) {
      state.open_operations.erase(open);
      node->open_claim = 0;
    }
    node->claimed = false;
    node->attempts[Verb::kClaim] = 0;
    if (node->reason.code() == v1::CLAIM_MISSING) node->failed = false;
  }
  return absl::OkStatus();
}

absl::Status FoldCommand(const v1::CommandReceived& command, uint64_t now, State& state) {
  switch (command.command()) {
    case v1::CommandReceived::PAUSE:
      state.paused = true;
      break;
    case v1::CommandReceived::RESUME:
      state.paused = false;
      state.last_change = now;  // time went by
      state.gate.stale_at = now;
      break;
    case v1::CommandReceived::ABORT:
      state.aborting = true;
      break;
    default:
      return absl::InvalidArgumentError("a command this program does not know: written by a newer k3saga");
  }
  state.commanded_by = command.by();
  return absl::OkStatus();
}

absl::Status FoldStep(const v1::StepEntered& entered, int64_t unix_ms, uint64_t now, State& state) {
  if (entered.step() == v1::STEP_UNSPECIFIED || !v1::Step_IsValid(entered.step())) {
    return absl::InvalidArgumentError("a step this program does not know: written by a newer k3saga");
  }
  if (!state.steps.empty()) state.steps.back().left_ms = unix_ms;
  state.steps.push_back({entered.step(), entered.because(), unix_ms, 0});
  state.step = entered.step();
  state.last_change = now;
  // An upgrade enters this step only as compensation past the point of no return.
  const bool compensates = state.plan().kind() == v1::Plan::UPGRADE;
  if (entered.step() == v1::STEP_PUT_BACK_WORKERS && compensates) state.restores = true;
  if (state.stop.code() == v1::REASON_UNSPECIFIED) state.stop = entered.because();
  Progress(state);
  return absl::OkStatus();
}

// Whatever was proved of its process is about another one from here on.
void ForgetProcess(uint64_t now, NodeState& node, State& state) {
  node.failed = false;
  node.awaited = false;
  node.main_pid = 0;
  node.was_ready = false;
  node.crashed_at = 0;
  if (node.server) state.last_change = now;
}

void IssueTouch(Verb verb, uint64_t now, NodeState& node, State& state) {
  const bool upgrade = state.plan().kind() == v1::Plan::UPGRADE;
  node.installs += verb == Verb::kInstall ? 1 : 0;
  node.going_back = verb == Verb::kPutBack && upgrade;  // for other plans it is the way forward
  if (node.fate != Fate::kTouching) node.fate_before = node.fate;
  node.fate = Fate::kTouching;
  node.touch_order = ++state.touches;
  node.attempts[Verb::kMoveLeader] = 0;
  state.resetting = state.resetting || node.stopped;
  ForgetProcess(now, node, state);
}

// What the datastore's way back does to a node's k3s beside swapping its files.
void IssueRestoring(Verb verb, uint64_t now, NodeState& node, State& state) {
  ++state.touches;
  if (verb == Verb::kStop) node.stopped = false;  // until it is known
  if (verb == Verb::kRestoreDatastore) state.resetting = state.data_restored = true;
  ForgetProcess(now, node, state);
}

bool Touches(Verb verb) { return verb == Verb::kInstall || verb == Verb::kPutBack; }
bool Restoring(Verb verb) {
  return verb == Verb::kStop || verb == Verb::kRestoreDatastore || verb == Verb::kRejoin ||
         verb == Verb::kRestart;
}
bool Begins(Verb verb, const State& state) {
  if (verb == Verb::kCordon || verb == Verb::kDrain || verb == Verb::kInstall || Restoring(verb)) return true;
  return verb == Verb::kPutBack && state.plan().kind() != v1::Plan::UPGRADE;
}

// Claims and their release run beside whatever else happens to the node; everything else is the node's chain.
absl::Status IssueToNode(const v1::OperationIssued& issued, uint64_t now, State& state) {
  const Verb verb = issued.spec().verb_case();
  const bool beside = verb == Verb::kClaim || verb == Verb::kReleaseClaim;
  K3SAGA_ASSIGN_OR_RETURN(const uint32_t index, IndexOf(issued.node(), state));
  const NodeState& before = state.nodes[index];
  if ((beside ? before.open_claim : before.open_operation) != 0) {
    return Impossible(absl::StrCat("a second operation about ", issued.node(), " while one is open"));
  }
  K3SAGA_RETURN_IF_ERROR(TakeSequence(issued.sequence(), state));

  NodeEdit node(state, index);
  (beside ? node->open_claim : node->open_operation) = issued.sequence();
  node->must_wait = false;
  ++node->attempts[verb];
  if (beside) {
    node->holds = true;
    return absl::OkStatus();
  }
  node->verb = verb;
  if (Begins(verb, state)) node->begun = true;
  if (verb == Verb::kCordon) node->cordon = Cordon::kUnknown;
  if (Touches(verb)) IssueTouch(verb, now, *node, state);
  if (Restoring(verb)) IssueRestoring(verb, now, *node, state);
  if (verb == Verb::kMoveLeader) state.last_change = now;
  if (Begins(verb, state) || Touches(verb)) Progress(state);
  return absl::OkStatus();
}

// Asked of some server about the cluster, beside every node's chain.
absl::Status IssueRemedy(const v1::OperationIssued& issued, State& state) {
  K3SAGA_RETURN_IF_ERROR(IndexOf(issued.node(), state).status());
  RemedyState& remedy = state.remedy;
  if (remedy.open != 0) return Impossible("a second operation about the remedies while one is open");
  K3SAGA_RETURN_IF_ERROR(TakeSequence(issued.sequence(), state));
  const Verb verb = issued.spec().verb_case();
  remedy.attempts = remedy.verb == verb ? remedy.attempts + 1 : 1;
  remedy.verb = verb;
  remedy.given_up = false;
  remedy.open = issued.sequence();
  Progress(state);
  return absl::OkStatus();
}

absl::Status FoldIssued(const v1::OperationIssued& issued, uint64_t now, State& state) {
  const Verb verb = issued.spec().verb_case();
  if (verb == Verb::VERB_NOT_SET) {
    return absl::InvalidArgumentError("an operation this program does not know: written by a newer k3saga");
  }
  if (verb == Verb::kBackup) {
    K3SAGA_RETURN_IF_ERROR(IndexOf(issued.node(), state).status());
    if (state.open_backup != 0) return Impossible("a second backup while one is open");
    K3SAGA_RETURN_IF_ERROR(TakeSequence(issued.sequence(), state));
    state.open_backup = issued.sequence();
    ++state.backup_attempts;
    Progress(state);
  } else if (verb == Verb::kApplyManifests || verb == Verb::kRemoveManifests) {
    K3SAGA_RETURN_IF_ERROR(IssueRemedy(issued, state));
  } else {
    K3SAGA_RETURN_IF_ERROR(IssueToNode(issued, now, state));
  }
  state.open_operations.emplace(issued.sequence(), issued);
  return absl::OkStatus();
}

absl::Status FoldSettled(const v1::OperationSettled& settled, uint64_t now, State& state) {
  const auto open = state.open_operations.find(settled.sequence());
  if (open == state.open_operations.end()) {
    return Impossible(absl::StrCat("an outcome of operation ", settled.sequence(), ", which is not open"));
  }
  if (settled.outcome().code() == v1::Outcome::CODE_UNSPECIFIED ||
      !v1::Outcome::Code_IsValid(settled.outcome().code())) {
    return absl::InvalidArgumentError("an outcome this program does not know: written by a newer k3saga");
  }
  const auto closed = state.open_operations.extract(open);
  Settle(closed.mapped(), settled.outcome(), now, state);
  // That took its time: what the user's gate said before is not what it says now.
  if (closed.mapped().spec().has_move_leader()) state.gate.stale_at = now;
  return absl::OkStatus();
}

absl::Status FoldProbe(const v1::ProbeIssued& probe, uint64_t now, State& state) {
  K3SAGA_RETURN_IF_ERROR(TakeSequence(probe.sequence(), state));
  state.open_probes.emplace(probe.sequence(), ProbeState{probe, now});
  return absl::OkStatus();
}

// A server that nobody touched and that is another process than before, or not ready any more, has crashed.
void NoteCrash(const v1::ServerProof& proof, uint64_t now, NodeState& server) {
  if (!proof.reachable() || server.fate == Fate::kTouching || server.stopped) return;
  const bool another =
      server.main_pid != 0 && proof.main_pid() != 0 &&
      (proof.main_pid() != server.main_pid || proof.main_start_ticks() != server.main_start_ticks);
  if (another || (server.was_ready && !proof.ready())) server.crashed_at = now;
  if (proof.main_pid() != 0) {
    server.main_pid = proof.main_pid();
    server.main_start_ticks = proof.main_start_ticks();
  }
  server.was_ready = proof.ready();
}

absl::Status FoldProved(const v1::GateProved& proved, uint64_t now, State& state) {
  const auto probe = state.open_probes.find(proved.sequence());
  if (probe == state.open_probes.end()) {
    return Impossible(absl::StrCat("an answer to probe ", proved.sequence(), ", which is not open"));
  }
  for (const v1::ServerProof& proof : proved.servers()) {
    K3SAGA_RETURN_IF_ERROR(IndexOf(proof.node(), state).status());
  }
  const uint64_t issued_at = probe->second.issued_at;
  const bool with_nodes = probe->second.issued.with_nodes();
  state.open_probes.erase(probe);
  if (issued_at < state.proof_issued_at) return absl::OkStatus();
  state.proof = proved;
  state.proof_issued_at = issued_at;
  state.proof_with_nodes = with_nodes;
  if (!state.proof_fresh()) return absl::OkStatus();
  for (const v1::ServerProof& proof : proved.servers()) {
    NoteCrash(proof, now, state.nodes[state.roster->index.at(proof.node())]);
    if (state.etcd_cluster_version.empty()) state.etcd_cluster_version = proof.etcd_cluster_version();
  }
  return absl::OkStatus();
}

absl::Status FoldGateAsked(const v1::ExternalGateAsked& asked, State& state) {
  if (!state.open_gates.empty()) return Impossible("a second question to the user's gate while one is open");
  K3SAGA_RETURN_IF_ERROR(TakeSequence(asked.sequence(), state));
  state.open_gates.emplace(asked.sequence(), asked);
  return absl::OkStatus();
}

absl::Status FoldGateAnswered(const v1::ExternalGateAnswered& answered, uint64_t now, State& state) {
  if (state.open_gates.erase(answered.sequence()) == 0) {
    return Impossible(absl::StrCat("an answer to question ", answered.sequence(), ", which is not open"));
  }
  state.gate.answered_at = now;
  state.gate.open = answered.open();
  state.gate.reason = answered.reason();
  return absl::OkStatus();
}

absl::Status FoldTimerSet(const v1::TimerSet& timer, State& state) {
  if (timer.node().empty()) {
    if (state.gate_timer != 0) return Impossible("a second timer at a closed gate");
    K3SAGA_RETURN_IF_ERROR(TakeSequence(timer.sequence(), state));
    state.gate_timer = timer.sequence();
  } else {
    K3SAGA_ASSIGN_OR_RETURN(const uint32_t index, IndexOf(timer.node(), state));
    if (state.nodes[index].open_timer != 0) return Impossible("a second timer for " + timer.node());
    K3SAGA_RETURN_IF_ERROR(TakeSequence(timer.sequence(), state));
    state.nodes[index].open_timer = timer.sequence();
  }
  state.open_timers.emplace(timer.sequence(), timer);
  return absl::OkStatus();
}

absl::Status FoldTimerFired(const v1::TimerFired& fired, uint64_t now, State& state) {
  const auto open = state.open_timers.find(fired.sequence());
  if (open == state.open_timers.end()) {
    return Impossible(absl::StrCat("timer ", fired.sequence(), " fired, which is not set"));
  }
  const auto closed = state.open_timers.extract(open);
  const v1::TimerSet& timer = closed.mapped();
  if (timer.node().empty()) {
    state.gate_timer = 0;
    state.remedy.must_wait = false;
    state.gate.stale_at = now;
    state.held_ms += timer.milliseconds();
    state.last_change = now;  // looks again: older proofs will not do
  } else {
    NodeState& node = state.nodes[state.roster->index.at(timer.node())];
    node.open_timer = 0;
    node.must_wait = false;
  }
  return absl::OkStatus();
}

absl::Status FoldHeld(const v1::Held& held, State& state) {
  state.held_node = held.node();
  state.held.assign(held.reasons().begin(), held.reasons().end());
  return absl::OkStatus();
}

absl::Status FoldFinished(const v1::NodeFinished& finished, uint64_t now, State& state) {
  if (finished.result() == v1::NodeFinished::RESULT_UNSPECIFIED ||
      !v1::NodeFinished::Result_IsValid(finished.result())) {
    return absl::InvalidArgumentError(
        "a node's result this program does not know: written by a newer k3saga");
  }
  K3SAGA_ASSIGN_OR_RETURN(const uint32_t index, IndexOf(finished.node(), state));
  NodeEdit node(state, index);
  node->result = finished.result();
  node->reason = finished.reason();
  state.gate.stale_at = now;
  return absl::OkStatus();
}

absl::Status FoldEnded(const v1::Event& event, State& state) {
  if (event.ended().result() == v1::RolloutEnded::RESULT_UNSPECIFIED ||
      !v1::RolloutEnded::Result_IsValid(event.ended().result())) {
    return absl::InvalidArgumentError("a result this program does not know: written by a newer k3saga");
  }
  if (!state.steps.empty()) state.steps.back().left_ms = event.unix_ms();
  state.result = event.ended().result();
  state.end_reason = event.ended().reason();
  state.ended_ms = event.unix_ms();
  return absl::OkStatus();
}

absl::Status FoldBody(const v1::Event& event, uint64_t now, State& state) {
  switch (event.body_case()) {
    case v1::Event::kCreated:
      return FoldCreated(event, state);
    case v1::Event::kResumed:
      return FoldResumed(event.resumed(), now, state);
    case v1::Event::kAdopted:
      return FoldAdopted(event.adopted(), event.unix_ms(), now, state);
    case v1::Event::kCommand:
      return FoldCommand(event.command(), now, state);
    case v1::Event::kStepEntered:
      return FoldStep(event.step_entered(), event.unix_ms(), now, state);
    case v1::Event::kIssued:
      return FoldIssued(event.issued(), now, state);
    case v1::Event::kSettled:
      return FoldSettled(event.settled(), now, state);
    case v1::Event::kProbeIssued:
      return FoldProbe(event.probe_issued(), now, state);
    case v1::Event::kGateProved:
      return FoldProved(event.gate_proved(), now, state);
    case v1::Event::kExternalGateAsked:
      return FoldGateAsked(event.external_gate_asked(), state);
    case v1::Event::kExternalGateAnswered:
      return FoldGateAnswered(event.external_gate_answered(), now, state);
    case v1::Event::kTimerSet:
      return FoldTimerSet(event.timer_set(), state);
    case v1::Event::kTimerFired:
      return FoldTimerFired(event.timer_fired(), now, state);
    case v1::Event::kHeld:
      return FoldHeld(event.held(), state);
    case v1::Event::kNodeFinished:
      return FoldFinished(event.node_finished(), now, state);
    case v1::Event::kPointOfNoReturn:
      state.past_return = true;
      state.past_return_because = event.point_of_no_return().because();
      return absl::OkStatus();
    case v1::Event::kEnded:
      return FoldEnded(event, state);
    case v1::Event::BODY_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "an event this program does not know: the journal was written by a newer k3saga");
}

}  // namespace

absl::Status Apply(const v1::Event& event, State& state) {
  if (!state.created() && !event.has_created()) return Impossible("it does not begin with RolloutCreated");
  if (state.ended()) return Impossible("an event after the rollout's end");
  const uint64_t now = state.events + 1;
  K3SAGA_RETURN_IF_ERROR(FoldBody(event, now, state));
  state.events = now;
  return absl::OkStatus();
}

}  // namespace k3saga::core
