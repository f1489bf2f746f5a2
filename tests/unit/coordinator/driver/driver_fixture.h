#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/driver/driver.h"
#include "tests/unit/coordinator/fleet/fake_fleet.h"
#include "tests/unit/coordinator/journal/fake_journal.h"
#include "tests/unit/coordinator/manual_loop.h"

// The driver with the saga's decisions scripted by the test: a decider here says what is next, once.
namespace k3saga::driver {

inline constexpr char kRollout[] = "20260131-142507-4f2a";

// Without servers nothing waits for their claims.
inline v1::RolloutCreated Created(const std::vector<std::string>& nodes = {"w1", "w2", "w3", "w4"}) {
  v1::RolloutCreated created;
  created.set_rollout(kRollout);
  created.set_holder("ann@laptop:1");
  created.set_epoch(5);
  created.mutable_plan()->set_cluster("shop-12");
  for (const std::string& name : nodes) {
    v1::PlannedNode& node = *created.mutable_plan()->add_nodes();
    node.set_name(name);
    node.set_role(name[0] == 's' ? v1::ROLE_SERVER : v1::ROLE_WORKER);
    node.set_journal_id(absl::StrCat("journal-of-", name));
  }
  return created;
}

inline v1::Event Issue(uint64_t sequence, const std::string& node, v1::OperationSpec spec) {
  v1::Event event;
  v1::OperationIssued& issued = *event.mutable_issued();
  issued.set_sequence(sequence);
  issued.set_attempt(1);
  issued.set_node(node);
  issued.set_asked_of(node);
  issued.set_deadline_seconds(60);
  *issued.mutable_spec() = std::move(spec);
  return event;
}
inline v1::OperationSpec StageSpec() {
  v1::OperationSpec spec;
  spec.mutable_stage();
  return spec;
}
inline v1::OperationSpec ClaimSpec() {
  v1::OperationSpec spec;
  spec.mutable_claim()->set_holder("ann@laptop:1");
  return spec;
}
inline v1::Event Timer(uint64_t sequence, uint32_t ms) {
  v1::Event event;
  event.mutable_timer_set()->set_sequence(sequence);
  event.mutable_timer_set()->set_milliseconds(ms);
  return event;
}
inline v1::Event Probe(uint64_t sequence, bool with_nodes) {
  v1::Event event;
  event.mutable_probe_issued()->set_sequence(sequence);
  event.mutable_probe_issued()->set_with_nodes(with_nodes);
  return event;
}
inline v1::Event End() {
  v1::Event event;
  event.mutable_ended()->set_result(v1::RolloutEnded::SUCCEEDED);
  return event;
}

inline std::string Name(const v1::Event& event) {
  switch (event.body_case()) {
    case v1::Event::kCreated:
      return "created";
    case v1::Event::kResumed:
      return absl::StrCat("resumed ", event.resumed().epoch());
    case v1::Event::kAdopted:
      return absl::StrCat("adopted ", event.adopted().epoch());
    case v1::Event::kCommand:
      return absl::StrCat("command ", v1::CommandReceived::Command_Name(event.command().command()));
    case v1::Event::kIssued:
      return absl::StrCat("issued ", event.issued().sequence());
    case v1::Event::kSettled:
      return absl::StrCat("settled ", event.settled().sequence(), " ",
                          v1::Outcome::Code_Name(event.settled().outcome().code()));
    case v1::Event::kProbeIssued:
      return absl::StrCat("probe ", event.probe_issued().sequence());
    case v1::Event::kGateProved:
      return absl::StrCat("proved ", event.gate_proved().sequence());
    case v1::Event::kTimerSet:
      return absl::StrCat("timer ", event.timer_set().sequence());
    case v1::Event::kTimerFired:
      return absl::StrCat("fired ", event.timer_fired().sequence());
    case v1::Event::kExternalGateAsked:
      return absl::StrCat("gate ", event.external_gate_asked().sequence());
    case v1::Event::kExternalGateAnswered:
      return event.external_gate_answered().open() ? "open" : "closed";
    case v1::Event::kEnded:
      return "ended";
    default:
      return "?";
  }
}

class DriverTest : public ::testing::Test, protected Observer {
 protected:
  void MakeDriver() {
    Services services{loop_,
                      loop_,
                      journal_,
                      fleet_,
                      [] { return uint64_t{0}; },
                      [this](const core::State&) { return std::exchange(next_, {}); }};
    services.ask_gate = ask_gate_;
    services.release_cache = release_cache_;
    driver_ = std::make_unique<Driver>(services, std::vector<Observer*>{this},
                                       [this](const Finish& finish) { finishes_.push_back(finish); });
  }
  absl::Status Start(std::vector<v1::Event> first) {
    MakeDriver();
    next_ = std::move(first);
    return driver_->Start(Created());
  }
  absl::Status StartWithServers(std::vector<v1::Event> first) {
    MakeDriver();
    next_ = std::move(first);
    return driver_->Start(Created({"s1", "s2", "w1"}));
  }
  // As when the process died: what was in flight is forgotten, the journal is what it is.
  absl::Status DieAndResume() {
    driver_.reset();
    fleet_.runs.clear();
    fleet_.probes.clear();
    seen_.clear();
    MakeDriver();
    return driver_->Resume(kRollout, "bob@desk:2", 0);
  }
  void Settle(size_t run, v1::Outcome::Code code, const std::string& journal = "") {
    auto& asked = fleet_.runs[run];
    if (!journal.empty()) {
      v1::RunReply::Accepted accepted;
      accepted.set_journal_id(journal);
      asked.callback.accepted(accepted);
    }
    v1::Outcome outcome;
    outcome.set_code(code);
    asked.callback.done(outcome);
  }
  std::vector<std::string> Log() const {
    std::vector<std::string> names;
    const auto found = journal_.rollouts.find(kRollout);
    if (found == journal_.rollouts.end()) return names;
    for (const v1::Event& event : found->second) names.push_back(Name(event));
    return names;
  }
  std::vector<std::string> Asked() const {
    std::vector<std::string> names;
    for (const auto& run : fleet_.runs)
      names.push_back(absl::StrCat(run.node, " ", run.request.id().sequence()));
    return names;
  }

  void OnEvents(uint64_t first, const std::vector<v1::Event>& events, const core::State& state) override {
    EXPECT_EQ(first, seen_.size() + 1);
    for (const v1::Event& event : events) seen_.push_back(Name(event));
    EXPECT_EQ(state.events, seen_.size());
    EXPECT_EQ(seen_, Log()) << "shown before it was durable";
  }
  void OnProgress(uint64_t sequence, const std::string& node, const v1::Progress& progress) override {
    progress_.push_back(absl::StrCat(node, " ", sequence, " ", progress.phase()));
  }

  ManualLoop loop_;
  journal::FakeJournal journal_;
  fleet::FakeFleet fleet_;
  AskGate ask_gate_ = gate::Ask;
  std::string release_cache_;
  std::vector<v1::Event> next_;
  std::unique_ptr<Driver> driver_;
  std::vector<Finish> finishes_;
  std::vector<std::string> seen_;
  std::vector<std::string> progress_;
};

}  // namespace k3saga::driver
