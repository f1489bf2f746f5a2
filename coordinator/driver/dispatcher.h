#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "coordinator/core/state.h"
#include "coordinator/driver/file_push.h"
#include "coordinator/driver/gate_call.h"
#include "coordinator/driver/operation_follower.h"
#include "coordinator/fleet/fleet.h"

namespace k3saga::driver {

// Makes the world match the state: whatever is open and not under way is begun, whatever is under way and not
// open any more is dropped. Answers come back as events. The state it is shown has to be durable.
//
// Timers run on the boot clock and, like deadlines, count from their dispatch: after a restart in full again.
class Dispatcher {
 public:
  struct Hear {
    std::function<void(v1::Event)> event;  // OperationSettled, GateProved, ...
    std::function<void(uint64_t sequence, const std::string& node, const v1::Progress&)> progress;
  };

  // `release_cache`: a folder of ours, see ReleaseCache.
  Dispatcher(OperationFollower::Edge edge, Hear hear, AskGate ask_gate, std::string release_cache);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  void Match(const core::State& state);
  // Drops everything; operations go on where they run.
  void Clear();

  // Learns from the log which journal each agent keeps. Called with every event before it is folded.
  void Learn(const v1::Event& event, const core::State& before);

 private:
  struct Operation {
    fleet::CallHandle push;
    fleet::CallHandle backup;  // that it needs
    bool brought = false;      // from its copy here
    std::unique_ptr<OperationFollower> follower;
    fleet::CallHandle copy;     // of the backup it took
    fleet::CallHandle command;  // an external datastore's backup
  };

  void DropWhatIsNotOpen(const core::State& state);
  void HoldBack(const v1::OperationIssued& issued);
  void Begin(const v1::OperationIssued& issued, const core::State& state);
  FilePush::List ListOf(const v1::Release& release, const core::State& state) const;
  void PushFirst(const v1::OperationIssued& issued, const v1::RunRequest& request, const core::State& state);
  void BackupFirst(const v1::OperationIssued& issued, const v1::RunRequest& request,
                   const std::string& backup);
  void Follow(uint64_t sequence, const v1::OperationIssued& issued, const v1::RunRequest& request);
  void RunCommand(const v1::OperationIssued& issued, const core::State& state);
  void BeginProbe(const v1::ProbeIssued& issued, const core::State& state);
  void BeginGate(const v1::ExternalGateAsked& asked, const core::State& state);
  void BeginTimer(const v1::TimerSet& timer);
  void Ended(const v1::OperationIssued& issued, const v1::Authority& authority, v1::Outcome outcome,
             const std::string& journal_id);
  void CopyFirst(const v1::OperationIssued& issued, const v1::Authority& authority, v1::Outcome outcome,
                 const std::string& journal_id);
  void Settle(uint64_t sequence, v1::Outcome outcome, const std::string& journal_id);
  v1::RunRequest RequestFor(const v1::OperationIssued& issued, const core::State& state) const;

  const OperationFollower::Edge edge_;
  const Hear hear_;
  const AskGate ask_gate_;
  const std::string release_cache_;
  std::unique_ptr<FilePush> file_push_;  // outlives the operations' handles
  std::map<uint64_t, Operation> operations_;
  std::map<uint64_t, fleet::CallHandle> probes_;
  std::map<uint64_t, fleet::CallHandle> gates_;
  std::map<uint64_t, Loop::TimerId> timers_;
  std::map<uint64_t, Loop::TimerId> held_back_;  // operations that may not be asked for yet; their deadlines
  std::map<std::string, std::string> journal_ids_;  // by node
  std::string copy_backups_to_;                     // "": they stay on their nodes
};

}  // namespace k3saga::driver
