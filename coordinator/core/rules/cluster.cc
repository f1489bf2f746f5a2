#include "coordinator/core/rules/cluster.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "common/reason.h"
#include "coordinator/core/way.h"

namespace k3saga::core {
namespace {

// Entries a member may lack and still count as caught up: a busy cluster is never at zero.
constexpr uint64_t kMaxBehind = 1000;

uint64_t NewestIndex(const State& state) {
  uint64_t newest = 0;
  for (const v1::ServerProof& proof : state.proof.servers()) newest = std::max(newest, proof.applied_index());
  return newest;
}

// A restored cluster's members have new ids: only their number is known. One more may be listed while a peer
// that was asked to rejoin has not made it yet.
bool AsManyAsRestored(const State& state, const v1::ServerProof& proof) {
  const auto listed = static_cast<uint32_t>(proof.members_size());
  const uint32_t restored = RestoredMembers(state);
  const bool joining =
      std::any_of(state.nodes.begin(), state.nodes.begin() + state.servers(), [](const NodeState& server) {
        return !server.restored && !server.failed && server.attempts[Verb::kRejoin] != 0;
      });
  return listed == restored || (joining && listed == restored + 1);
}

bool SameMembers(const v1::Plan& plan, const v1::ServerProof& proof) {
  if (plan.members_size() != proof.members_size()) return false;
  return std::all_of(plan.members().begin(), plan.members().end(), [&](const v1::EtcdMember& then) {
    return std::any_of(proof.members().begin(), proof.members().end(),
                       [&](const v1::EtcdMember& now) { return now.id() == then.id(); });
  });
}

// "NOSPACE@8e9e05c52164694d" with the server's name, where the plan knows that member.
std::string AlarmWords(const v1::Plan& plan, const std::string& alarm) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(alarm, absl::MaxSplits('@', 1));
  for (const v1::PlannedNode& node : plan.nodes()) {
    const bool raises = node.member_id() != 0 && absl::StrCat(absl::Hex(node.member_id())) == parts.second;
    if (raises) return absl::StrCat(parts.first, " of ", node.name());
  }
  return alarm;
}

void JudgeMember(const State& state, const NodeState& server, const v1::ServerProof& proof,
                 Verdict& verdict) {
  const auto add = [&](v1::ReasonCode code, const std::string& detail, std::string_view remedy = "") {
    verdict.push_back(MakeReason(code, server.name(), detail, remedy));
  };
  if (!proof.etcd_serving()) return add(v1::MEMBER_UNHEALTHY, "its etcd member does not serve");
  if (proof.learner())
    add(v1::MEMBER_LEARNER, "its etcd member is a learner", "wait until it is promoted, or remove it");
  if (proof.alarms_size() != 0) {
    std::vector<std::string> alarms;
    for (const std::string& alarm : proof.alarms()) alarms.push_back(AlarmWords(state.plan(), alarm));
    add(v1::MEMBER_ALARM, absl::StrCat("etcd alarm ", absl::StrJoin(alarms, ", ")),
        "make room or repair the member, then disarm the alarm: docs/recovery.md");
  }
  if (proof.leader_id() == 0) add(v1::NO_LEADER, "its etcd member knows no leader");
  if (const uint64_t newest = NewestIndex(state); proof.applied_index() + kMaxBehind < newest) {
    add(v1::MEMBER_BEHIND,
        absl::StrCat("its etcd member is ", newest - proof.applied_index(), " entries behind"));
  }
  if (state.data_restored) {
    if (AsManyAsRestored(state, proof)) return;
    return add(v1::MEMBERSHIP_CHANGED, absl::StrCat("it lists ", proof.members_size(), " etcd members where ",
                                                    RestoredMembers(state), " servers have joined again"));
  }
  if (!SameMembers(state.plan(), proof)) {
    add(v1::MEMBERSHIP_CHANGED,
        absl::StrCat("it lists ", proof.members_size(), " etcd members; at the start there were ",
                     state.plan().members_size()),
        "bring the membership back, or end this rollout and run the upgrade again");
  }
}

}  // namespace

uint32_t Voters(const State& state) {
  const auto& members = state.plan().members();
  return static_cast<uint32_t>(std::count_if(members.begin(), members.end(),
                                             [](const v1::EtcdMember& each) { return !each.learner(); }));
}

Verdict TroubleOf(const State& state, const NodeState& server) {
  const v1::ServerProof* proof = ProofOf(state, server);
  if (proof == nullptr || !proof->reachable()) {
    return {MakeReason(v1::NODE_UNREACHABLE, server.name(), "its agent did not answer",
                       "is k3saga-agent running there and reachable?")};
  }
  Verdict verdict;
  if (RunsEtcd(server)) JudgeMember(state, server, *proof, verdict);
  if (!proof->ready()) {
    verdict.push_back(MakeReason(
        v1::SERVER_NOT_READY, server.name(),
        proof->note().empty() ? "it is not ready" : absl::StrCat("it is not ready: ", proof->note())));
  }
  return verdict;
}

bool Down(const State& state, const NodeState& server) {
  const v1::ServerProof* proof = ProofOf(state, server);
  return proof != nullptr && proof->reachable() && !proof->ready() && !proof->etcd_serving();
}

bool Begins(const State& state, const Context& context) {
  if (context.act != Act::kStop) return context.act == Act::kBegin;
  return std::none_of(state.nodes.begin(), state.nodes.begin() + state.servers(),
                      [](const NodeState& server) {
                        return server.stopped || (server.open_operation != 0 && server.verb == Verb::kStop);
                      });
}

uint64_t Leader(const State& state) {
  for (const v1::ServerProof& proof : state.proof.servers()) {
    if (proof.etcd_serving() && proof.leader_id() != 0) return proof.leader_id();
  }
  return 0;
}

uint64_t SettleMs(const State& state) { return uint64_t{1000} * state.policies().servers().settle_seconds(); }

bool Pending(const NodeState& server, Direction direction) {
  if (direction == Direction::kForward) return !server.moved();
  if (server.plan->at_target()) return false;
  return server.fate == Fate::kMoved || server.fate == Fate::kBroken || server.fate == Fate::kUnknown;
}

const NodeState* LastCrashed(const State& state, Direction direction) {
  if (state.touches == 0) return nullptr;
  const NodeState* last = nullptr;
  for (uint32_t i = 0; i < state.servers(); ++i) {
    const NodeState& server = state.nodes[i];
    if (server.crashed_at <= state.last_touch) continue;
    if (!Pending(server, direction)) return nullptr;
    if (last == nullptr || server.crashed_at >= last->crashed_at) last = &server;
  }
  return last;
}

uint32_t SettleRemainingMs(const State& state) {
  const uint64_t settle = SettleMs(state);
  uint64_t remaining = 0;
  for (const v1::ServerProof& proof : state.proof.servers()) {
    if (!proof.ready() || proof.ready_for_ms() >= settle) continue;
    remaining = std::max(remaining, settle - proof.ready_for_ms());
  }
  return static_cast<uint32_t>(std::min<uint64_t>(remaining, UINT32_MAX));
}

}  // namespace k3saga::core
