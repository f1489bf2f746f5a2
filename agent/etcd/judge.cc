#include "agent/etcd/judge.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <set>
#include <string>

#include "common/reason.h"

namespace k3saga::etcd {
namespace {

std::string NameOf(const MemberView& member) {
  return member.member.name().empty() ? absl::StrFormat("%x", member.member.id()) : member.member.name();
}

std::string WhyNotHealthy(const ClusterView& view, const MemberView& member, uint64_t leader) {
  if (!member.started()) {
    return "never started";
  }
  if (!member.answered) {
    return member.error.empty() ? "does not answer" : member.error;
  }
  if (member.leader != leader) {
    return member.leader == 0 ? "knows no leader" : "follows another leader";
  }
  if (!member.alarms.empty()) {
    return absl::StrCat("alarm ", absl::StrJoin(member.alarms, ", "));
  }
  return HealthyVoter(view, member, leader) ? "" : "its log is behind";
}

std::optional<v1::Reason> JudgeMembership(const v1::LastCheck& check, const ClusterView& view,
                                          std::string_view node) {
  if (check.members().empty()) {
    return std::nullopt;
  }
  const std::set<uint64_t> expected(check.members().begin(), check.members().end());
  std::vector<std::string> differences;
  for (const MemberView& member : view.members) {
    if (!expected.contains(member.member.id())) {
      differences.push_back(absl::StrCat(NameOf(member), " is new"));
    }
  }
  for (const uint64_t id : expected) {
    if (view.Find(id) == nullptr) {
      differences.push_back(absl::StrFormat("%x is gone", id));
    }
  }
  if (differences.empty()) {
    return std::nullopt;
  }
  return MakeReason(v1::MEMBERSHIP_CHANGED, node,
                    absl::StrCat("etcd's members are not those the rollout began with: ",
                                 absl::StrJoin(differences, ", ")));
}

std::optional<v1::Reason> JudgeQuorum(const ClusterView& view, const MemberView& me, std::string_view node) {
  size_t healthy = 0;
  std::vector<std::string> unhealthy;
  for (const MemberView& member : view.members) {
    if (member.member.id() == view.own_id || member.member.learner()) {
      continue;
    }
    if (HealthyVoter(view, member, me.leader)) {
      ++healthy;
    } else {
      unhealthy.push_back(absl::StrCat(NameOf(member), " (", WhyNotHealthy(view, member, me.leader), ")"));
    }
  }
  if (healthy >= Quorum(view)) {
    return std::nullopt;
  }
  std::string detail = absl::StrCat("without this member ", healthy,
                                    " healthy voters would be left, a quorum is ", Quorum(view));
  if (!unhealthy.empty()) {
    absl::StrAppend(&detail, "; not healthy: ", absl::StrJoin(unhealthy, ", "));
  }
  return MakeReason(v1::QUORUM_WOULD_BE_LOST, node, detail, "bring the other members back first");
}

}  // namespace

std::optional<v1::Reason> JudgeBeforeStop(const v1::LastCheck& check, const ClusterView& view,
                                          std::string_view node) {
  if (view.own == ClusterView::Own::kNotListening) {
    return std::nullopt;
  }
  const MemberView* me = view.Me();
  if (view.own == ClusterView::Own::kUnclear || me == nullptr) {
    return MakeReason(
        v1::MEMBER_UNHEALTHY, node,
        absl::StrCat("this node's own etcd member gives no clear answer: ",
                     view.own_error.empty() ? "it is not in its own member list" : view.own_error));
  }
  if (auto changed = JudgeMembership(check, view, node)) {
    return changed;
  }
  if (check.require_quorum_without_me() && me->leader == 0) {
    return MakeReason(v1::NO_LEADER, node, "etcd has no leader now",
                      "wait for an election, or bring the other members back");
  }
  if (check.refuse_if_leader() && me->leader == view.own_id) {
    return MakeReason(v1::NODE_LEADS_ETCD, node, "this node's etcd member is the leader",
                      "move the leadership first");
  }
  return check.require_quorum_without_me() ? JudgeQuorum(view, *me, node) : std::nullopt;
}

uint64_t ChooseLeader(const std::vector<uint64_t>& preferred, const ClusterView& view) {
  const MemberView* me = view.Me();
  if (me == nullptr) {
    return 0;
  }
  const auto can_lead = [&](const MemberView& member) {
    return member.member.id() != view.own_id && HealthyVoter(view, member, me->leader);
  };
  for (const uint64_t id : preferred) {
    const MemberView* member = view.Find(id);
    if (member != nullptr && can_lead(*member)) {
      return id;
    }
  }
  const MemberView* furthest = nullptr;
  for (const MemberView& member : view.members) {
    if (can_lead(member) && (furthest == nullptr || member.applied_index > furthest->applied_index)) {
      furthest = &member;
    }
  }
  return furthest == nullptr ? 0 : furthest->member.id();
}

}  // namespace k3saga::etcd
