#include "coordinator/core/adopted.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <vector>

#include "common/reason.h"
#include "common/status_macros.h"
#include "coordinator/core/tally.h"

namespace k3saga::core {
namespace {

absl::Status Impossible(const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat("the journal does not fit together: ", why));
}

absl::Status Check(const v1::RolloutAdopted& adopted, const State& state) {
  if (adopted.epoch() <= state.epoch) {
    return Impossible(absl::StrCat("adopted under epoch ", adopted.epoch(), " after ", state.epoch));
  }
  std::vector<bool> seen(state.nodes.size());
  for (const v1::AdoptedNode& found : adopted.nodes()) {
    const auto index = state.roster->index.find(found.node());
    if (index == state.roster->index.end() || seen[index->second]) {
      return Impossible(absl::StrCat("adopted with node \"", found.node(), "\", which is twice or unknown"));
    }
    if (!v1::AdoptedNode::Found_IsValid(found.found())) {
      return absl::InvalidArgumentError(
          absl::StrCat("what was found on ", found.node(), " only a newer k3saga knows"));
    }
    seen[index->second] = true;
  }
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing == seen.end()) return absl::OkStatus();
  const auto index = static_cast<size_t>(missing - seen.begin());
  return Impossible(absl::StrCat("adopted without node ", state.nodes[index].name()));
}

void Touched(Fate fate, NodeState& node, State& state) {
  node.begun = true;
  node.fate = node.fate_before = fate;
  if (!node.plan->at_target()) node.touch_order = ++state.touches;
}

void FailedAs(Fate fate, const v1::Reason& reason, NodeState& node, State& state) {
  Touched(fate, node, state);
  node.failed = true;
  node.reason = reason.code() != v1::REASON_UNSPECIFIED
                    ? reason
                    : MakeReason(v1::LOST_OPERATION, node.name(), "how that came is not known any more");
}

void Place(const v1::AdoptedNode& found, NodeState& node, State& state) {
  node.holds = true;
  node.staged = found.staged();
  if (found.cordoned_by_us()) {
    node.cordon = Cordon::kOurs;
    node.begun = true;
  }
  switch (found.found()) {
    case v1::AdoptedNode::AS_PLANNED:
      return;
    case v1::AdoptedNode::AT_TARGET:
      return Touched(Fate::kMoved, node, state);
    case v1::AdoptedNode::PUT_BACK:
      return FailedAs(Fate::kBack, found.reason(), node, state);
    case v1::AdoptedNode::BROKEN:
      return FailedAs(Fate::kBroken, found.reason(), node, state);
    default:
      // An agent that does not answer has to acknowledge us before its node is begun; where something is
      // still running it has begun.
      node.fate = Fate::kUnknown;
      if (!found.journal_id().empty()) Touched(Fate::kUnknown, node, state);
      return;
  }
}

}  // namespace

absl::Status FoldAdopted(const v1::RolloutAdopted& adopted, int64_t unix_ms, uint64_t now, State& state) {
  K3SAGA_RETURN_IF_ERROR(Check(adopted, state));
  State fresh;
  fresh.roster = state.roster;
  fresh.events = state.events;
  fresh.created_ms = state.created_ms;
  fresh.next_sequence = std::max(state.next_sequence, FirstSequence(adopted.epoch()));
  fresh.holder = adopted.holder();
  fresh.epoch = adopted.epoch();
  fresh.steps = std::move(state.steps);
  if (!fresh.steps.empty() && fresh.steps.back().left_ms == 0) fresh.steps.back().left_ms = unix_ms;
  fresh.ends = adopted.ends();
  fresh.past_return = adopted.past_return();
  if (fresh.past_return)
    fresh.past_return_because = "every server ran the new minor version when it was adopted";
  for (const v1::AdoptedBackup& backup : adopted.backups()) {
    fresh.backups.push_back({backup.node(), backup.result()});
  }
  for (const NodeState& each : state.nodes) {
    fresh.nodes.push_back(AsPlanned(*each.plan, each.index));
    Join(fresh.nodes.back(), fresh.tally);
  }
  for (const v1::AdoptedNode& found : adopted.nodes()) {
    NodeEdit node(fresh, fresh.roster->index.at(found.node()));
    Place(found, *node, fresh);
  }
  // What stands of them nobody remembers: applying and removing them again does no harm.
  if (fresh.plan().remedies_size() != 0) fresh.remedy.standing = RemedyState::Standing::kUnknown;
  fresh.last_change = now;
  if (fresh.touches != 0) fresh.last_touch = now;
  state = std::move(fresh);
  return absl::OkStatus();
}

}  // namespace k3saga::core
