#include "agent/etcd/view.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace k3saga::etcd {
namespace {

std::optional<std::pair<int, int>> MajorMinor(const std::string& version) {
  const std::vector<std::string> parts = absl::StrSplit(version, '.');
  std::pair<int, int> numbers;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &numbers.first) ||
      !absl::SimpleAtoi(parts[1], &numbers.second)) {
    return std::nullopt;
  }
  return numbers;
}

uint64_t FurthestApplied(const ClusterView& view) {
  uint64_t furthest = 0;
  for (const MemberView& member : view.members) {
    furthest = std::max(furthest, member.applied_index);
  }
  return furthest;
}

}  // namespace

const MemberView* ClusterView::Find(uint64_t id) const {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [id](const MemberView& member) { return member.member.id() == id; });
  return found == members.end() ? nullptr : &*found;
}

bool HealthyVoter(const ClusterView& view, const MemberView& member, uint64_t leader) {
  return member.started() && member.answered && !member.member.learner() && !member.learner && leader != 0 &&
         member.leader == leader && member.alarms.empty() &&
         member.applied_index + kCaughtUpEntries >= FurthestApplied(view);
}

size_t Quorum(const ClusterView& view) {
  const auto voters = std::count_if(view.members.begin(), view.members.end(),
                                    [](const MemberView& member) { return !member.member.learner(); });
  return static_cast<size_t>(voters) / 2 + 1;
}

v1::EtcdFacts ToFacts(const ClusterView& view) {
  v1::EtcdFacts facts;
  facts.set_error(view.own_error);
  for (const MemberView& member : view.members) {
    *facts.add_members() = member.member;
    for (const std::string& alarm : member.alarms) {
      facts.add_alarms(absl::StrFormat("%s@%x", alarm, member.member.id()));
    }
  }
  const MemberView* me = view.Me();
  if (view.own != ClusterView::Own::kServing || me == nullptr) {
    return facts;
  }
  facts.set_member_id(view.own_id);
  facts.set_leader_id(me->leader);
  facts.set_version(me->version);
  facts.set_raft_index(me->raft_index);
  facts.set_applied_index(me->applied_index);
  facts.set_learner(me->learner);
  facts.set_linearizable_read(me->quorum_read);
  facts.set_database_bytes(me->database_bytes);
  return facts;
}

std::string LowestVersion(const ClusterView& view) {
  std::optional<std::pair<int, int>> lowest;
  for (const MemberView& member : view.members) {
    if (member.member.learner()) {
      continue;
    }
    const auto version = MajorMinor(member.version);
    if (!version) {
      return "";
    }
    lowest = lowest ? std::min(*lowest, *version) : *version;
  }
  return lowest ? absl::StrCat(lowest->first, ".", lowest->second, ".0") : "";
}

}  // namespace k3saga::etcd
