#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/saga.h"

namespace k3saga::core {

// Plays a rollout against a small cluster in the head: every operation succeeds at once, every timer fires
// when nothing else is left to do, unless the test's script says otherwise.
class Stage {
 public:
  // nullopt: not answered yet. The default script answers with success.
  using Script = std::function<std::optional<v1::Outcome>(const v1::OperationIssued&)>;

  explicit Stage(v1::RolloutCreated created);
  // Goes on where this log ends; decides nothing by itself.
  explicit Stage(const std::vector<v1::Event>& log);

  Script script;
  // Changes the proof that is about to be given.
  std::function<void(v1::GateProved&)> spoil;

  // The user's gate; open where the test does not say otherwise.
  std::function<bool(const v1::ExternalGateAsked&)> gate;

  void Feed(v1::Event event);  // as an input; fails the test if it does not fit
  void Command(v1::CommandReceived::Command command);
  // Until the rollout ends, or until nothing but the test can bring it forward.
  void Play();
  // One answer or timer; false when there is none.
  bool PlayOne();

  const State& state() const { return state_; }
  const std::vector<v1::Event>& log() const { return log_; }
  // "backup s1", "install s2", ... in the order issued, of these verbs ("" for all but claims and staging).
  std::vector<std::string> Issued(const std::vector<std::string>& verbs = {}) const;
  bool EverHeld(v1::ReasonCode code) const;

 private:
  void Decided();
  bool Answer();
  bool FireTimer();
  void ProveRestored(const NodeState& server, v1::ServerProof& proof) const;
  v1::GateProved Prove(uint64_t sequence, bool with_nodes) const;

  uint64_t leader_ = 1;  // etcd member
  State state_;
  std::vector<v1::Event> log_;
};

// Answers one verb about one node with `outcome`, everything else with success.
Stage::Script Fails(Verb verb, std::string node, v1::Outcome outcome);

v1::NodeFinished::Result ResultOf(const Stage& stage, const char* node);

// What touches k3s, for Stage::Issued.
inline const std::vector<std::string> kTouches = {"install", "put_back"};

}  // namespace k3saga::core
