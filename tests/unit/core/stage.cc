#include "tests/unit/core/stage.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "common/reason.h"
#include "coordinator/core/way.h"
#include "tests/unit/core/plans.h"

namespace k3saga::core {
namespace {

std::string VerbName(const v1::OperationSpec& spec) {
  const auto* descriptor = v1::OperationSpec::descriptor();
  return descriptor->FindFieldByNumber(spec.verb_case())->name();
}

}  // namespace

Stage::Stage(v1::RolloutCreated created) {
  v1::Event event;
  *event.mutable_created() = std::move(created);
  Feed(std::move(event));
}

Stage::Stage(const std::vector<v1::Event>& log) : log_(log) {
  for (const v1::Event& event : log_) EXPECT_TRUE(Apply(event, state_).ok()) << event.DebugString();
}

void Stage::Feed(v1::Event event) {
  const absl::Status applied = Apply(event, state_);
  ASSERT_TRUE(applied.ok()) << applied << "\n" << event.DebugString();
  log_.push_back(std::move(event));
  Decided();
}

void Stage::Command(v1::CommandReceived::Command command) {
  v1::Event event;
  event.mutable_command()->set_command(command);
  event.mutable_command()->set_by("ada");
  Feed(std::move(event));
}

void Stage::Decided() {
  for (int round = 0; round < 1000; ++round) {
    std::vector<v1::Event> next = Decide(state_);
    if (next.empty()) return;
    for (v1::Event& event : next) {
      const absl::Status applied = Apply(event, state_);
      ASSERT_TRUE(applied.ok()) << applied << "\n" << event.DebugString();
      log_.push_back(std::move(event));
    }
  }
  FAIL() << "Decide never comes to an end:\n" << log_.back().DebugString();
}

bool Stage::Answer() {
  if (!state_.open_probes.empty()) {
    const auto& [sequence, probe] = *state_.open_probes.begin();
    v1::Event event;
    *event.mutable_gate_proved() = Prove(sequence, probe.issued.with_nodes());
    Feed(std::move(event));
    return true;
  }
  if (!state_.open_gates.empty()) {
    const v1::ExternalGateAsked asked = state_.open_gates.begin()->second;
    v1::Event event;
    v1::ExternalGateAnswered& answer = *event.mutable_external_gate_answered();
    answer.set_sequence(asked.sequence());
    answer.set_open(!gate || gate(asked));
    if (!answer.open())
      *answer.mutable_reason() = MakeReason(v1::EXTERNAL_GATE_CLOSED, "PodsCrash", "it fires");
    Feed(std::move(event));
    return true;
  }
  for (const auto& [sequence, issued] : state_.open_operations) {
    std::optional<v1::Outcome> outcome = script ? script(issued) : Succeeded(issued);
    if (!outcome) continue;
    if (issued.spec().has_move_leader() && outcome->code() == v1::Outcome::SUCCEEDED) {
      leader_ = issued.spec().move_leader().preferred_members(0);
    }
    v1::Event event;
    event.mutable_settled()->set_sequence(sequence);
    *event.mutable_settled()->mutable_outcome() = *std::move(outcome);
    Feed(std::move(event));
    return true;
  }
  return false;
}

bool Stage::FireTimer() {
  if (state_.open_timers.empty()) return false;
  v1::Event event;
  event.mutable_timer_fired()->set_sequence(state_.open_timers.begin()->first);
  Feed(std::move(event));
  return true;
}

bool Stage::PlayOne() { return Answer() || FireTimer(); }

void Stage::Play() {
  for (int turn = 0; turn < 100'000; ++turn) {
    if (state_.ended() || testing::Test::HasFatalFailure()) return;
    if (!PlayOne()) return;
  }
  FAIL() << "the rollout never ends:\n" << log_.back().DebugString();
}

v1::GateProved Stage::Prove(uint64_t sequence, bool with_nodes) const {
  v1::GateProved proved = HealthyProof(state_.plan());
  proved.set_sequence(sequence);
  for (v1::ServerProof& proof : *proved.mutable_servers()) {
    const NodeState& server = *state_.Find(proof.node());
    proof.set_leader_id(leader_);
    if (server.moved()) proof.set_running_version(IsWayBack(state_.plan()) ? TargetOf(state_, server) : kTo);
    if (server.fate == Fate::kBack) proof.set_running_version(server.plan->from_version());
    if (state_.data_restored) ProveRestored(server, proof);
    proof.set_main_pid(proof.main_pid() + 1000 * server.touch_order);
  }
  if (with_nodes) {
    for (const NodeState& node : state_.nodes) {
      v1::KubeNode& object = *proved.add_nodes();
      object.set_name(node.name());
      object.set_ready(true);
      object.set_kubelet_version(TargetOf(state_, node));
    }
  }
  if (spoil) spoil(proved);
  return proved;
}

// New members with new ids, as many as joined; the others are down.
void Stage::ProveRestored(const NodeState& server, v1::ServerProof& proof) const {
  proof.clear_members();
  proof.set_ready(server.restored);
  proof.set_etcd_serving(server.restored);
  if (!server.restored) return;
  for (uint32_t i = 0; i < RestoredMembers(state_); ++i) proof.add_members()->set_id(100 + i);
}

std::vector<std::string> Stage::Issued(const std::vector<std::string>& verbs) const {
  static const std::vector<std::string> kQuiet = {"claim", "release_claim", "stage", "drop_staged"};
  std::vector<std::string> issued;
  for (const v1::Event& event : log_) {
    if (!event.has_issued()) continue;
    const std::string verb = VerbName(event.issued().spec());
    const bool wanted = verbs.empty() ? std::find(kQuiet.begin(), kQuiet.end(), verb) == kQuiet.end()
                                      : std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
    if (wanted) issued.push_back(absl::StrCat(verb, " ", event.issued().node()));
  }
  return issued;
}

bool Stage::EverHeld(v1::ReasonCode code) const {
  return std::any_of(log_.begin(), log_.end(), [code](const v1::Event& event) {
    return event.has_held() && event.held().reasons_size() > 0 && event.held().reasons(0).code() == code;
  });
}

Stage::Script Fails(Verb verb, std::string node, v1::Outcome outcome) {
  return [verb, node = std::move(node),
          outcome = std::move(outcome)](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().verb_case() == verb && issued.node() == node) return outcome;
    return Succeeded(issued);
  };
}

v1::NodeFinished::Result ResultOf(const Stage& stage, const char* node) {
  return stage.state().Find(node)->result;
}

}  // namespace k3saga::core
