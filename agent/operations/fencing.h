#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/operations/machine.h"
#include "k3saga/v1/facts.pb.h"
#include "k3saga/v1/operation.pb.h"

namespace k3saga::operations {

// Who may make this node act. Pure; the agent's journal keeps the Fence, the simulation keeps one per virtual
// node.
struct Fence {
  enum class Hold : uint8_t {
    kNever,     // no claim and no operation so far
    kSeen,      // an operation with this authority came; it never claimed (workers)
    kHeld,      // claimed
    kReleased,  // ended by its holder: the epoch stays, nothing new is taken under it
  };
  Hold hold = Hold::kNever;
  v1::Claim claim;  // epoch 0 with kNever; `active` is true exactly with kHeld
};

// Refuses whoever is not current: no epoch at all, a lower one, the same one with another rollout or holder.
// A higher epoch is current from now on (taking over is the coordinator's decision; the user was asked
// there).
std::optional<v1::Reason> JudgeAuthority(const Fence& fence, const v1::Authority& authority);

// What the journal knows that matters to a new Run.
struct JournalView {
  bool known = false;         // (rollout, sequence, attempt) is in the journal
  uint64_t floor = 0;         // the highest sequence of that rollout that was pruned; 0: none
  std::vector<Verb> running;  // verbs of the operations that are not settled
  bool lost = false;          // the caller knows of another journal, which may have known it (RunRequest)
};

struct Admission {
  enum class Kind : uint8_t { kStart, kAttach, kRefuse };
  Kind kind = Kind::kRefuse;
  v1::Reason reason;  // of a refusal
  Fence fence;        // to be recorded with the operation, in the same commit, also when attaching
};

// Start it, attach to it, or refuse it. In this order: an authority that is not current is refused
// (STALE_EPOCH); a known operation is attached to; one that a lost journal may have known (LOST_OPERATION),
// or at or below the floor (STALE_OPERATION), is refused, for it may have run; nothing new under a released
// claim (STALE_EPOCH); unknown verbs (UNKNOWN_ACTION); verbs that exclude each other (BUSY).
Admission Admit(const Fence& fence, const JournalView& journal, const v1::Authority& authority,
                const v1::OperationId& id, const v1::OperationSpec& spec, int64_t now_unix_ms);

// The claim part of an operation's last check: the rollout it belongs to still holds the node. A successor of
// the same rollout (higher epoch) inherits what runs, so its claim does not stop it.
std::optional<v1::Reason> JudgeStillHeld(const Fence& fence, const Record& record);

}  // namespace k3saga::operations
