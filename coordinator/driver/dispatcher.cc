#include "coordinator/driver/dispatcher.h"

#include <absl/strings/str_cat.h>

#include <set>
#include <utility>

#include "common/host/crash_point.h"
#include "common/host/log.h"
#include "common/reason.h"
#include "common/status_macros.h"
#include "coordinator/core/way.h"
#include "coordinator/driver/backup_at_hand.h"
#include "coordinator/driver/backup_copies.h"
#include "coordinator/driver/backup_copy.h"
#include "coordinator/driver/external_backup.h"
#include "coordinator/driver/release_cache.h"
#include "coordinator/fleet/rounds.h"

namespace k3saga::driver {
namespace {

using std::chrono::milliseconds;

CrashPoint kBeforeDispatch("driver.before_dispatch");
CrashPoint kAfterDispatch("driver.after_dispatch");

// A server that does not answer its probe by then counts as unreachable.
constexpr milliseconds kProbeTimeout(5'000);
// Snapshots of large clusters have gigabytes.
constexpr milliseconds kCopyTimeout(30 * 60'000);

v1::Authority AuthorityOf(const core::State& state) {
  v1::Authority authority;
  authority.set_rollout(state.rollout());
  authority.set_epoch(state.epoch);
  authority.set_holder(state.holder);
  return authority;
}

// The backup that its server has to have, whole, before it is asked; "": none. Looked after before the server
// is stopped, while everything runs, and again before the datastore goes.
std::string NeededBackup(const v1::OperationIssued& issued, const core::State& state) {
  if (issued.spec().has_restore_datastore()) return issued.spec().restore_datastore().backup_id();
  if (!issued.spec().has_stop()) return "";
  const core::RestoreSource source = core::RestoreSourceOf(state);
  return source.server != nullptr && source.server->name() == issued.asked_of() ? source.backup->id() : "";
}

// Erases what is under way and not open any more.
template <typename UnderWay, typename Open>
void KeepOpen(UnderWay& under_way, const Open& open) {
  for (auto it = under_way.begin(); it != under_way.end();) {
    it = open.count(it->first) != 0 ? std::next(it) : under_way.erase(it);
  }
}

}  // namespace

Dispatcher::Dispatcher(OperationFollower::Edge edge, Hear hear, AskGate ask_gate, std::string release_cache)
    : edge_(std::move(edge)),
      hear_(std::move(hear)),
      ask_gate_(std::move(ask_gate)),
      release_cache_(std::move(release_cache)) {}

Dispatcher::~Dispatcher() { Clear(); }

void Dispatcher::Clear() {
  for (const auto& [sequence, timer] : timers_) edge_.loop.CancelTimer(timer);
  timers_.clear();
  for (const auto& [sequence, timer] : held_back_) edge_.loop.CancelTimer(timer);
  held_back_.clear();
  probes_.clear();
  gates_.clear();
  operations_.clear();
}

void Dispatcher::Learn(const v1::Event& event, const core::State& before) {
  if (event.has_created()) {
    copy_backups_to_ = event.created().plan().policies().backup().copy_to();
    for (const v1::PlannedNode& node : event.created().plan().nodes()) {
      journal_ids_[node.name()] = node.journal_id();
    }
  } else if (event.has_adopted()) {
    for (const v1::AdoptedNode& node : event.adopted().nodes()) journal_ids_[node.node()] = node.journal_id();
  } else if (event.has_settled()) {
    const v1::OperationSettled& settled = event.settled();
    const auto issued = before.open_operations.find(settled.sequence());
    if (issued == before.open_operations.end()) return;
    // An agent that refuses because its journal was lost does not say what it keeps now: the next attempt
    // takes it as it comes.
    const bool lost = settled.outcome().reason().code() == v1::LOST_OPERATION;
    if (lost || !settled.agent_journal_id().empty()) {
      journal_ids_[issued->second.asked_of()] = settled.agent_journal_id();
    }
  }
}

void Dispatcher::Match(const core::State& state) {
  DropWhatIsNotOpen(state);
  for (const auto& [sequence, issued] : state.open_operations) {
    if (operations_.count(sequence) != 0) continue;
    if (core::MayBeAsked(state, issued)) {
      Begin(issued, state);
    } else {
      HoldBack(issued);
    }
  }
  for (const auto& [sequence, probe] : state.open_probes) {
    if (probes_.count(sequence) == 0) BeginProbe(probe.issued, state);
  }
  for (const auto& [sequence, asked] : state.open_gates) {
    if (gates_.count(sequence) == 0) BeginGate(asked, state);
  }
  for (const auto& [sequence, timer] : state.open_timers) {
    if (timers_.count(sequence) == 0) BeginTimer(timer);
  }
}

void Dispatcher::DropWhatIsNotOpen(const core::State& state) {
  KeepOpen(operations_, state.open_operations);
  KeepOpen(probes_, state.open_probes);
  KeepOpen(gates_, state.open_gates);
  for (const auto& [sequence, timer] : timers_) {
    if (state.open_timers.count(sequence) == 0) edge_.loop.CancelTimer(timer);
  }
  KeepOpen(timers_, state.open_timers);
  for (auto it = held_back_.begin(); it != held_back_.end();) {
    const auto open = state.open_operations.find(it->first);
    const bool waits = open != state.open_operations.end() && !core::MayBeAsked(state, open->second);
    if (!waits) edge_.loop.CancelTimer(it->second);
    it = waits ? std::next(it) : held_back_.erase(it);
  }
}

// Its deadline runs all the same: a server that never acknowledges us must not hold the rollout for ever.
void Dispatcher::HoldBack(const v1::OperationIssued& issued) {
  const uint64_t sequence = issued.sequence();
  if (held_back_.count(sequence) != 0) return;
  held_back_[sequence] = edge_.loop.After(
      std::chrono::seconds(issued.deadline_seconds()), [this, sequence, node = issued.asked_of()] {
        v1::Outcome outcome;
        outcome.set_code(v1::Outcome::UNKNOWN);
        *outcome.mutable_reason() = MakeReason(
            v1::CLAIM_MISSING, node, "not asked for: a server's agent has not acknowledged this coordinator");
        Settle(sequence, std::move(outcome), "");
      });
}

v1::RunRequest Dispatcher::RequestFor(const v1::OperationIssued& issued, const core::State& state) const {
  v1::RunRequest request;
  *request.mutable_authority() = AuthorityOf(state);
  request.mutable_id()->set_rollout(state.rollout());
  request.mutable_id()->set_sequence(issued.sequence());
  request.mutable_id()->set_attempt(issued.attempt());
  *request.mutable_spec() = issued.spec();
  const core::NodeState* agent = state.Find(issued.asked_of());
  if (request.spec().has_claim() && agent != nullptr && agent->server) {
    // Servers keep what another machine needs to adopt the rollout. The journal has it once, not in every
    // claim.
    request.mutable_spec()->mutable_claim()->set_rollout_created(state.roster->created.SerializeAsString());
  }
  const auto journal = journal_ids_.find(issued.asked_of());
  if (journal != journal_ids_.end()) request.set_journal_id(journal->second);
  return request;
}

void Dispatcher::Begin(const v1::OperationIssued& issued, const core::State& state) {
  kBeforeDispatch.MaybeDie();
  operations_[issued.sequence()];  // under way, also while its files are being sent
  const v1::RunRequest request = RequestFor(issued, state);
  if (issued.spec().has_backup() && issued.spec().backup().datastore() == v1::DATASTORE_EXTERNAL) {
    RunCommand(issued, state);
  } else if (issued.spec().has_stage() && PushesFiles(issued.spec().stage().release())) {
    PushFirst(issued, request, state);
  } else if (const std::string backup = NeededBackup(issued, state); !backup.empty()) {
    BackupFirst(issued, request, backup);
  } else {
    Follow(issued.sequence(), issued, request);
  }
  kAfterDispatch.MaybeDie();
}

// One download for the whole cluster: what any of its nodes needs.
FilePush::List Dispatcher::ListOf(const v1::Release& release, const core::State& state) const {
  std::set<std::string> architectures;
  for (const core::NodeState& node : state.nodes) {
    if (!node.plan->architecture().empty()) architectures.insert(node.plan->architecture());
  }
  return [cache = ReleaseCache(release_cache_), release,
          architectures = std::vector<std::string>(architectures.begin(), architectures.end())](
             const FetchMoved& moved) -> absl::StatusOr<std::vector<PushedFile>> {
    K3SAGA_ASSIGN_OR_RETURN(const v1::Release local, cache.BringHere(release, architectures, moved));
    return ListPushedFiles(local);
  };
}

void Dispatcher::PushFirst(const v1::OperationIssued& issued, const v1::RunRequest& request,
                           const core::State& state) {
  const uint64_t sequence = issued.sequence();
  const v1::Release& release = issued.spec().stage().release();
  if (file_push_ == nullptr) file_push_ = std::make_unique<FilePush>(edge_, ListOf(release, state));
  const core::NodeState* node = state.Find(issued.asked_of());
  FilePush::Job job;
  job.node = issued.asked_of();
  if (node != nullptr) job.architecture = node->plan->architecture();
  job.authority = request.authority();
  job.deadline = std::chrono::seconds(issued.deadline_seconds());
  job.progress = [this, sequence, about = issued.node()](const v1::Progress& progress) {
    hear_.progress(sequence, about, progress);
  };
  job.done = [this, sequence, issued, request](const absl::Status& status) {
    if (status.ok()) {
      Follow(sequence, issued, request);
      return;
    }
    v1::Outcome outcome;
    outcome.set_code(v1::Outcome::FAILED);
    outcome.set_node_state(v1::Outcome::UNTOUCHED);
    v1::Reason& reason = *outcome.mutable_reason();
    reason = ReasonOf(status, issued.asked_of());  // typed where this machine fetches the release
    if (reason.code() == v1::TIMED_OUT) reason.set_code(v1::DOWNLOAD_FAILED);
    if (reason.code() == v1::LOCAL_FAILURE) reason.set_code(v1::RELEASE_UNAVAILABLE);
    if (reason.code() == v1::STALE_EPOCH) outcome.set_code(v1::Outcome::REFUSED);  // by its agent
    Settle(sequence, std::move(outcome), "");
  };
  operations_[sequence].push = file_push_->Push(std::move(job));
}

void Dispatcher::BackupFirst(const v1::OperationIssued& issued, const v1::RunRequest& request,
                             const std::string& backup) {
  BackupAtHand::Job job;
  job.node = issued.asked_of();
  job.authority = request.authority();
  job.backup_id = backup;
  job.copies = copy_backups_to_;
  job.deadline = std::chrono::seconds(issued.deadline_seconds());
  job.progress = [this, issued](const v1::Progress& progress) {
    hear_.progress(issued.sequence(), issued.node(), progress);
  };
  job.done = [this, issued, request](const absl::StatusOr<bool>& brought) {
    if (brought.ok()) {
      operations_[issued.sequence()].brought = *brought;
      Follow(issued.sequence(), issued, request);
      return;
    }
    const bool unknown = absl::IsDeadlineExceeded(brought.status());
    v1::Outcome outcome;
    if (v1::Reason refusal = ReasonOf(brought.status()); refusal.code() == v1::STALE_EPOCH) {
      outcome.set_code(v1::Outcome::REFUSED);
      *outcome.mutable_reason() = std::move(refusal);
      Settle(issued.sequence(), std::move(outcome), "");
      return;
    }
    outcome.set_code(unknown ? v1::Outcome::UNKNOWN : v1::Outcome::FAILED);
    *outcome.mutable_reason() =
        MakeReason(unknown ? v1::TIMED_OUT : v1::BACKUP_UNUSABLE, issued.asked_of(),
                   std::string(brought.status().message()), "choose another one: k3saga backups");
    Settle(issued.sequence(), std::move(outcome), "");
  };
  operations_[issued.sequence()].backup = std::make_unique<BackupAtHand>(edge_, std::move(job));
}

void Dispatcher::Follow(uint64_t sequence, const v1::OperationIssued& issued, const v1::RunRequest& request) {
  OperationFollower::Hear hear;
  hear.progress = [this, sequence, about = issued.node()](const v1::Progress& progress) {
    hear_.progress(sequence, about, progress);
  };
  hear.settled = [this, issued, authority = request.authority()](v1::Outcome outcome,
                                                                 const std::string& journal_id) {
    Ended(issued, authority, std::move(outcome), journal_id);
  };
  operations_[sequence].follower = std::make_unique<OperationFollower>(
      edge_, issued.asked_of(), request, std::chrono::seconds(issued.deadline_seconds()), std::move(hear));
}

void Dispatcher::Ended(const v1::OperationIssued& issued, const v1::Authority& authority, v1::Outcome outcome,
                       const std::string& journal_id) {
  const bool succeeded = outcome.code() == v1::Outcome::SUCCEEDED;
  if (succeeded && issued.spec().has_backup() && !copy_backups_to_.empty()) {
    CopyFirst(issued, authority, std::move(outcome), journal_id);
    return;
  }
  if (succeeded && operations_[issued.sequence()].brought) {
    outcome.mutable_backup()->set_path(
        absl::StrCat("the backup was brought from its copy in ", copy_backups_to_));
  }
  Settle(issued.sequence(), std::move(outcome), journal_id);
}

// An external datastore is nobody's node's to copy.
void Dispatcher::RunCommand(const v1::OperationIssued& issued, const core::State& state) {
  const auto& command = state.policies().backup().external_command();
  ExternalBackup::Job job;
  job.argv = {command.begin(), command.end()};
  job.rollout = state.rollout();
  job.name = issued.spec().backup().name();
  job.deadline = std::chrono::seconds(issued.deadline_seconds());
  operations_[issued.sequence()].command = std::make_unique<ExternalBackup>(
      edge_.loop, std::move(job), [this, sequence = issued.sequence()](v1::Outcome outcome) {
        Settle(sequence, std::move(outcome), "");
      });
}

// A backup that was to be copied counts once it is: nothing is changed before.
void Dispatcher::CopyFirst(const v1::OperationIssued& issued, const v1::Authority& authority,
                           v1::Outcome outcome, const std::string& journal_id) {
  BackupCopy::Job job;
  job.node = issued.asked_of();
  job.authority = authority;
  job.backup_id = outcome.backup().id();
  job.folder = copy_backups_to_;
  job.deadline = kCopyTimeout;
  job.progress = [this, issued](const v1::Progress& progress) {
    hear_.progress(issued.sequence(), issued.node(), progress);
  };
  job.done = [this, issued, outcome = std::move(outcome), journal_id](const absl::Status& status) {
    if (status.ok()) {
      // As many as on the node; one that cannot be removed is no reason to stop.
      const absl::Status pruned =
          PruneCopies(copy_backups_to_, issued.spec().backup().keep(), outcome.backup().id());
      if (!pruned.ok()) LogWarning(std::string(pruned.message()));
      Settle(issued.sequence(), outcome, journal_id);
      return;
    }
    v1::Outcome failed;
    failed.set_code(v1::Outcome::FAILED);
    *failed.mutable_reason() =
        MakeReason(v1::SNAPSHOT_FAILED, issued.asked_of(),
                   absl::StrCat("the backup was taken, but not copied to ", copy_backups_to_, ": ",
                                std::string(status.message())));
    Settle(issued.sequence(), std::move(failed), journal_id);
  };
  operations_[issued.sequence()].copy = std::make_unique<BackupCopy>(edge_, std::move(job));
}

void Dispatcher::Settle(uint64_t sequence, v1::Outcome outcome, const std::string& journal_id) {
  v1::Event event;
  event.mutable_settled()->set_sequence(sequence);
  *event.mutable_settled()->mutable_outcome() = std::move(outcome);
  event.mutable_settled()->set_agent_journal_id(journal_id);
  hear_.event(std::move(event));
}

void Dispatcher::BeginProbe(const v1::ProbeIssued& issued, const core::State& state) {
  fleet::ProbeRound round;
  for (const core::NodeState& node : state.nodes) {
    if (node.server) round.servers.push_back(node.name());
  }
  round.authority = AuthorityOf(state);
  round.with_nodes = issued.with_nodes();
  round.timeout = kProbeTimeout;
  probes_[issued.sequence()] = fleet::ProbeServers(
      edge_.fleet, std::move(round),
      [this, sequence = issued.sequence()](std::vector<v1::ServerProof> proofs) {
        v1::Event event;
        event.mutable_gate_proved()->set_sequence(sequence);
        for (v1::ServerProof& proof : proofs) {
          // One server's word on the Node objects is enough; it stands once, beside the
          // proofs.
          if (event.gate_proved().nodes_size() == 0) {
            event.mutable_gate_proved()->mutable_nodes()->Swap(proof.mutable_nodes());
            event.mutable_gate_proved()->mutable_components()->Swap(proof.mutable_components());
          }
          proof.clear_nodes();
          proof.clear_components();
          *event.mutable_gate_proved()->add_servers() = std::move(proof);
        }
        hear_.event(std::move(event));
      });
}

void Dispatcher::BeginGate(const v1::ExternalGateAsked& asked, const core::State& state) {
  gates_[asked.sequence()] = std::make_unique<GateCall>(
      edge_.loop, ask_gate_, state.policies().gate(), gate::Question{state.rollout(), asked.before_node()},
      [this, sequence = asked.sequence()](gate::Answer answer) {
        v1::Event event;
        event.mutable_external_gate_answered()->set_sequence(sequence);
        event.mutable_external_gate_answered()->set_open(answer.open);
        if (!answer.open)
          *event.mutable_external_gate_answered()->mutable_reason() = std::move(answer.reason);
        hear_.event(std::move(event));
      });
}

void Dispatcher::BeginTimer(const v1::TimerSet& timer) {
  timers_[timer.sequence()] =
      edge_.loop.After(milliseconds(timer.milliseconds()), [this, sequence = timer.sequence()] {
        v1::Event event;
        event.mutable_timer_fired()->set_sequence(sequence);
        hear_.event(std::move(event));
      });
}

}  // namespace k3saga::driver
