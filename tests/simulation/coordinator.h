#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/core/adopt.h"
#include "coordinator/core/saga.h"

namespace k3saga::simulation {

class World;

// What is durable of a coordinator.
using Journal = std::vector<v1::Event>;

// The driver's semantics around the real core: inputs, fold, decide, commit, dispatch. Its journal survives
// it.
class Coordinator {
 public:
  Coordinator(World& world, std::string holder, Journal journal);

  void Begin(const v1::RolloutCreated& created);
  void Resume();  // as another process: a higher epoch
  // As another machine that has no journal: makes every server acknowledge it, looks at all of them, goes on.
  void Adopt();
  void Bury();  // it never comes back, and neither does its journal
  void Kill(int64_t down_ms);
  // Stops as a laptop does when it is closed; what it sent is on its way.
  void Freeze() { frozen_ = true; }
  void Thaw();

  void Command(v1::CommandReceived::Command command);

  bool up() const { return up_ && !frozen_ && state_.created(); }
  const core::State& state() const { return state_; }
  const Journal& journal() const { return journal_; }

 private:
  struct ProbeRound {
    v1::GateProved proved;
    size_t missing = 0;
  };

  void Fence();
  void Fenced(size_t node, const v1::Outcome& outcome);
  void AskForReports();
  void Reported(size_t node, core::AgentReport report);
  void FinishAdoption();
  void Learn(const v1::Event& event);
  std::vector<v1::Event> Decide() const;
  void Input(v1::Event event);
  void Turn();
  bool Awaited(const v1::Event& event) const;
  void Fold(v1::Event event, std::vector<v1::Event>& log);
  void Dispatch(const v1::Event& event);
  void DispatchOpen(uint64_t below);
  void AskHeldBack();
  void Ask(const v1::OperationIssued& issued);
  void SendRun(const v1::OperationIssued& issued);
  void Watch(uint64_t sequence, int64_t deadline);
  void SendProbes(const v1::ProbeIssued& probe);
  void OnProof(uint64_t sequence, size_t server, const v1::ServerProof& proof);
  void FinishRound(uint64_t sequence);
  void AskGate(const v1::ExternalGateAsked& asked);
  void SetTimer(const v1::TimerSet& timer);
  v1::Authority AuthorityNow() const;
  // Runs `action` later, unless this process has ended by then.
  void Later(int64_t milliseconds, std::function<void()> action);

  World& world_;
  const std::string holder_;
  Journal journal_;

  bool up_ = true;
  bool frozen_ = false;
  bool buried_ = false;
  uint32_t process_ = 1;
  core::State state_;
  std::vector<v1::Event> inbox_;
  bool turn_due_ = false;
  std::map<uint64_t, ProbeRound> rounds_;
  std::vector<uint64_t> held_back_;  // open operations that may not be asked for yet
  std::map<std::string, std::string> journal_ids_;

  // While it adopts.
  bool adopts_;  // it has no journal of its own to begin with
  bool asked_for_reports_ = false;
  uint64_t fence_epoch_ = 0;
  std::vector<bool> fenced_;
  std::vector<core::AgentReport> reports_;
  size_t reports_missing_ = 0;
};

}  // namespace k3saga::simulation
