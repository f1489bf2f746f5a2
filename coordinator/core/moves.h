#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/core/rules/rule.h"
#include "coordinator/core/state.h"

namespace k3saga::core {

// What Decide is about to answer: the state it looks at, the rules it asks, and the events it wants, numbered
// in order. The state does not change while it is looked at; what one event changes for the next one is seen
// in the next round.
class Moves {
 public:
  Moves(const State& looked_at, const RuleTable& asked)
      : state(looked_at), rules(asked), next_(looked_at.next_sequence) {}

  const State& state;
  const RuleTable& rules;

  void Issue(std::string_view node, std::string_view asked_of, uint32_t attempt, v1::OperationSpec spec,
             uint32_t deadline_seconds);
  void Probe(std::string_view before_node, bool with_nodes);
  void AskGate(std::string_view before_node);
  // Before the node's next attempt.
  void Pause(const NodeState& node, uint32_t milliseconds);
  void Enter(v1::Step step, const v1::Reason& because = {});
  void Finish(const NodeState& node, v1::NodeFinished::Result result, const v1::Reason& reason = {});
  void PassReturn(std::string_view because);
  void End(v1::RolloutEnded::Result result, const v1::Reason& reason);

  // Says why nothing moves, if that was not said already.
  void Hold(std::string_view node, const Verdict& reasons);
  // The same, and looks again after a while.
  void HoldAndLookAgain(std::string_view node, const Verdict& reasons, uint32_t milliseconds = kLookAgainMs);

  bool empty() const { return events_.empty(); }
  // Where nothing moves and nothing is under way that could wake us, looks again after a while: a rollout
  // that is not paused never sleeps for ever, and at a gate that stays closed it stops in the end.
  void KeepAwake();

  std::vector<v1::Event> Take() { return std::move(events_); }

  static constexpr uint32_t kLookAgainMs = 1000;

 private:
  v1::Event& Add();
  void LookAgain(uint32_t milliseconds);

  uint64_t next_;
  std::vector<v1::Event> events_;
};

}  // namespace k3saga::core
