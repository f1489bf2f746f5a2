#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/reason.h"
#include "coordinator/core/saga.h"

namespace k3saga::view {

// A rollout told event by event, a second apart: two servers, one worker, from v1.31.4+k3s1 to v1.32.0+k3s1.
class Story {
 public:
  static constexpr int64_t kBegan = 1'769'869'507'000;  // 2026-01-31 14:25:07 UTC

  Story() {
    v1::Event event;
    v1::RolloutCreated& created = *event.mutable_created();
    created.set_rollout("20260131-142507-4f2a");
    created.set_holder("ann@desk:4711");
    created.set_epoch(1);
    v1::Plan& plan = *created.mutable_plan();
    plan.set_cluster("shop-12");
    plan.set_from_version("v1.31.4+k3s1");
    plan.set_to_version("v1.32.0+k3s1");
    for (auto [name, role] :
         {std::pair("s1", v1::ROLE_SERVER), {"s2", v1::ROLE_SERVER}, {"w1", v1::ROLE_WORKER}}) {
      v1::PlannedNode& node = *plan.add_nodes();
      node.set_name(name);
      node.set_role(role);
      node.set_from_version(plan.from_version());
      node.set_was_available(true);
    }
    Add(std::move(event));
  }

  // Stamps, folds and remembers it.
  void Add(v1::Event event) {
    event.set_unix_ms(now_ms_);
    now_ms_ += 1000;
    absl::Status status = core::Apply(event, state_);
    ASSERT_TRUE(status.ok()) << status;
    events_.push_back(std::move(event));
  }

  void Enter(v1::Step step, const v1::Reason& because = {}) {
    v1::Event event;
    event.mutable_step_entered()->set_step(step);
    if (because.code() != v1::REASON_UNSPECIFIED) *event.mutable_step_entered()->mutable_because() = because;
    Add(std::move(event));
  }
  // Returns the operation's sequence.
  uint64_t Issue(const std::string& node, const v1::OperationSpec& spec) {
    const uint64_t sequence = state_.next_sequence;
    v1::Event event;
    event.mutable_issued()->set_sequence(sequence);
    event.mutable_issued()->set_attempt(1);
    event.mutable_issued()->set_node(node);
    event.mutable_issued()->set_asked_of(node);
    *event.mutable_issued()->mutable_spec() = spec;
    Add(std::move(event));
    return sequence;
  }
  uint64_t IssueInstall(const std::string& node) {
    v1::OperationSpec spec;
    spec.mutable_install()->set_version("v1.32.0+k3s1");
    return Issue(node, spec);
  }
  void Settle(uint64_t sequence, const v1::Outcome& outcome) {
    v1::Event event;
    event.mutable_settled()->set_sequence(sequence);
    *event.mutable_settled()->mutable_outcome() = outcome;
    Add(std::move(event));
  }
  void SettleInstalled(uint64_t sequence) {
    v1::Outcome outcome;
    outcome.set_code(v1::Outcome::SUCCEEDED);
    outcome.set_node_state(v1::Outcome::CHANGED);
    outcome.mutable_install()->set_running_version("v1.32.0+k3s1");
    outcome.mutable_install()->set_down_ms(12'300);
    Settle(sequence, outcome);
  }
  void SettleFailed(uint64_t sequence, const v1::Reason& reason) {
    v1::Outcome outcome;
    outcome.set_code(v1::Outcome::FAILED);
    outcome.set_node_state(v1::Outcome::PUT_BACK);
    *outcome.mutable_reason() = reason;
    Settle(sequence, outcome);
  }
  void Finish(const std::string& node, v1::NodeFinished::Result result, const v1::Reason& reason = {}) {
    v1::Event event;
    event.mutable_node_finished()->set_node(node);
    event.mutable_node_finished()->set_result(result);
    if (reason.code() != v1::REASON_UNSPECIFIED) *event.mutable_node_finished()->mutable_reason() = reason;
    Add(std::move(event));
  }
  void Hold(const std::string& node, const v1::Reason& reason) {
    v1::Event event;
    event.mutable_held()->set_node(node);
    *event.mutable_held()->add_reasons() = reason;
    Add(std::move(event));
  }
  void Command(v1::CommandReceived::Command command) {
    v1::Event event;
    event.mutable_command()->set_command(command);
    event.mutable_command()->set_by("bob@desk:99");
    Add(std::move(event));
  }
  void End(v1::RolloutEnded::Result result, const v1::Reason& reason = {}) {
    v1::Event event;
    event.mutable_ended()->set_result(result);
    if (reason.code() != v1::REASON_UNSPECIFIED) *event.mutable_ended()->mutable_reason() = reason;
    Add(std::move(event));
  }

  // The first server is upgraded, the second is being installed.
  uint64_t TellHalf() {
    Enter(v1::STEP_PREFLIGHT);
    Enter(v1::STEP_STAGE_RELEASE);
    Enter(v1::STEP_BACKUP);
    Enter(v1::STEP_UPGRADE_SERVERS);
    const uint64_t first = IssueInstall("s1");
    SettleInstalled(first);
    Finish("s1", v1::NodeFinished::UPGRADED);
    return IssueInstall("s2");
  }
  // ... whose install fails, and everything goes back.
  void TellCompensated() {
    const v1::Reason why =
        MakeReason(v1::API_NOT_READY, "s2", "/readyz was not 200 within 5m", "look at its journal");
    SettleFailed(TellHalf(), why);
    Enter(v1::STEP_RESTORE_FROM_BACKUP, why);
    v1::OperationSpec put_back;
    put_back.mutable_put_back();
    const uint64_t back = Issue("s1", put_back);
    v1::Outcome outcome;
    outcome.set_code(v1::Outcome::SUCCEEDED);
    outcome.set_node_state(v1::Outcome::PUT_BACK);
    Settle(back, outcome);
    Finish("s1", v1::NodeFinished::PUT_BACK);
    Finish("s2", v1::NodeFinished::FAILED, why);
    Finish("w1", v1::NodeFinished::SKIPPED);
    End(v1::RolloutEnded::COMPENSATED, why);
  }

  const core::State& state() const { return state_; }
  const std::vector<v1::Event>& events() const { return events_; }
  int64_t now_ms() const { return now_ms_; }

 private:
  core::State state_;
  std::vector<v1::Event> events_;
  int64_t now_ms_ = kBegan;
};

}  // namespace k3saga::view
