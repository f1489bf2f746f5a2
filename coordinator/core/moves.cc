#include "coordinator/core/moves.h"

#include <algorithm>
#include <utility>

namespace k3saga::core {
namespace {

// By what they are about; how many seconds are left is no news.
bool SaysTheSame(const std::vector<v1::Reason>& held, const Verdict& reasons) {
  return std::equal(held.begin(), held.end(), reasons.begin(), reasons.end(),
                    [](const v1::Reason& a, const v1::Reason& b) {
                      return a.code() == b.code() && a.subject() == b.subject();
                    });
}

}  // namespace

v1::Event& Moves::Add() { return events_.emplace_back(); }

void Moves::Issue(std::string_view node, std::string_view asked_of, uint32_t attempt, v1::OperationSpec spec,
                  uint32_t deadline_seconds) {
  v1::OperationIssued& issued = *Add().mutable_issued();
  issued.set_sequence(next_++);
  issued.set_attempt(attempt);
  issued.set_node(std::string(node));
  issued.set_asked_of(std::string(asked_of));
  *issued.mutable_spec() = std::move(spec);
  issued.set_deadline_seconds(deadline_seconds);
}

void Moves::Probe(std::string_view before_node, bool with_nodes) {
  if (!state.open_probes.empty()) return;
  v1::ProbeIssued& probe = *Add().mutable_probe_issued();
  probe.set_sequence(next_++);
  probe.set_before_node(std::string(before_node));
  probe.set_with_nodes(with_nodes);
}

void Moves::AskGate(std::string_view before_node) {
  if (!state.open_gates.empty()) return;
  v1::ExternalGateAsked& asked = *Add().mutable_external_gate_asked();
  asked.set_sequence(next_++);
  asked.set_before_node(std::string(before_node));
}

void Moves::Pause(const NodeState& node, uint32_t milliseconds) {
  v1::TimerSet& timer = *Add().mutable_timer_set();
  timer.set_sequence(next_++);
  timer.set_milliseconds(milliseconds);
  timer.set_node(node.name());
}

void Moves::Enter(v1::Step step, const v1::Reason& because) {
  v1::StepEntered& entered = *Add().mutable_step_entered();
  entered.set_step(step);
  if (because.code() != v1::REASON_UNSPECIFIED) *entered.mutable_because() = because;
}

void Moves::Finish(const NodeState& node, v1::NodeFinished::Result result, const v1::Reason& reason) {
  v1::NodeFinished& finished = *Add().mutable_node_finished();
  finished.set_node(node.name());
  finished.set_result(result);
  if (reason.code() != v1::REASON_UNSPECIFIED) *finished.mutable_reason() = reason;
}

void Moves::PassReturn(std::string_view because) {
  Add().mutable_point_of_no_return()->set_because(std::string(because));
}

void Moves::End(v1::RolloutEnded::Result result, const v1::Reason& reason) {
  v1::RolloutEnded& ended = *Add().mutable_ended();
  ended.set_result(result);
  if (reason.code() != v1::REASON_UNSPECIFIED) *ended.mutable_reason() = reason;
}

void Moves::Hold(std::string_view node, const Verdict& reasons) {
  if (state.held_node == node && SaysTheSame(state.held, reasons)) return;
  v1::Held& held = *Add().mutable_held();
  held.set_node(std::string(node));
  held.mutable_reasons()->Add(reasons.begin(), reasons.end());
}

void Moves::HoldAndLookAgain(std::string_view node, const Verdict& reasons, uint32_t milliseconds) {
  Hold(node, reasons);
  LookAgain(milliseconds);
}

void Moves::LookAgain(uint32_t milliseconds) {
  if (state.gate_timer != 0) return;
  v1::TimerSet& timer = *Add().mutable_timer_set();
  timer.set_sequence(next_++);
  timer.set_milliseconds(milliseconds);
}

void Moves::KeepAwake() {
  if (events_.empty() && state.quiet() && !state.paused && !state.held.empty()) LookAgain(kLookAgainMs);
}

}  // namespace k3saga::core
