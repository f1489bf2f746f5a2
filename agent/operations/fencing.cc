#include "agent/operations/fencing.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/reason.h"

namespace k3saga::operations {
namespace {

bool SameAuthority(const v1::Claim& claim, const v1::Authority& authority) {
  return claim.rollout() == authority.rollout() && claim.holder() == authority.holder();
}

v1::Reason Stale(const Fence& fence, const v1::Authority& authority, std::string_view why) {
  return MakeReason(v1::STALE_EPOCH, authority.rollout(),
                    absl::StrCat("epoch ", authority.epoch(), " of ", authority.holder(), ": ",
                                 std::string(why), " (current: epoch ", fence.claim.epoch(), ", rollout ",
                                 fence.claim.rollout(), ", held by ", fence.claim.holder(), ")"),
                    "another coordinator took over; end this one");
}

v1::Claim ClaimOf(const v1::Authority& authority, int64_t now_unix_ms, bool active) {
  v1::Claim claim;
  claim.set_rollout(authority.rollout());
  claim.set_epoch(authority.epoch());
  claim.set_holder(authority.holder());
  claim.set_since_unix_ms(now_unix_ms);
  claim.set_active(active);
  return claim;
}

// The fence after an operation of `verb` under a current authority was taken.
Fence FenceAfter(const Fence& fence, Verb verb, const v1::Authority& authority, int64_t now_unix_ms) {
  using Hold = Fence::Hold;
  const bool grows = authority.epoch() > fence.claim.epoch();
  Fence after = fence;
  if (grows) after = {Hold::kSeen, ClaimOf(authority, now_unix_ms, false)};
  if (verb == Verb::kClaim && after.hold != Hold::kHeld) {
    after = {Hold::kHeld, ClaimOf(authority, now_unix_ms, true)};
  }
  if (verb == Verb::kReleaseClaim) {
    after.hold = Hold::kReleased;
    after.claim.set_active(false);
  }
  return after;
}

bool Excludes(Verb running, Verb wanted) {
  return ChangesNode(running) && (ChangesNode(wanted) || wanted == Verb::kReleaseClaim);
}

}  // namespace

std::optional<v1::Reason> JudgeAuthority(const Fence& fence, const v1::Authority& authority) {
  if (authority.epoch() == 0) return Stale(fence, authority, "an epoch starts at 1");
  if (authority.epoch() < fence.claim.epoch()) return Stale(fence, authority, "lower than the current epoch");
  if (authority.epoch() == fence.claim.epoch() && !SameAuthority(fence.claim, authority)) {
    return Stale(fence, authority, "the epoch has another holder");
  }
  return std::nullopt;
}

Admission Admit(const Fence& fence, const JournalView& journal, const v1::Authority& authority,
                const v1::OperationId& id, const v1::OperationSpec& spec, int64_t now_unix_ms) {
  using Kind = Admission::Kind;
  const auto refuse = [&](v1::Reason reason) { return Admission{Kind::kRefuse, std::move(reason), fence}; };

  if (auto reason = JudgeAuthority(fence, authority)) return refuse(*std::move(reason));
  const Verb verb = VerbOf(spec);
  if (journal.known) {
    // Seen under a higher epoch: the successor's authority is current from now on. Verbs were applied when
    // accepted.
    return {Kind::kAttach, {}, FenceAfter(fence, Verb::kUnknown, authority, now_unix_ms)};
  }
  const std::string name = absl::StrCat(id.rollout(), "/", id.sequence(), "/", id.attempt());
  if (journal.lost) {
    return refuse(MakeReason(v1::LOST_OPERATION, name,
                             "this agent's journal is not the one that was known: it may have run",
                             "settle it from the node's facts"));
  }
  if (id.sequence() <= journal.floor) {
    return refuse(
        MakeReason(v1::STALE_OPERATION, name,
                   absl::StrCat("operations up to ", journal.floor, " were pruned; it may have run"),
                   "settle it from the node's facts"));
  }
  // Released again: an attempt before this one may have failed at what a release removes.
  if (fence.hold == Fence::Hold::kReleased && authority.epoch() == fence.claim.epoch() &&
      verb != Verb::kReleaseClaim) {
    return refuse(Stale(fence, authority, "this claim was released"));
  }
  if (verb == Verb::kUnknown) {
    return refuse(MakeReason(v1::UNKNOWN_ACTION, name, "this agent does not know the operation's verb",
                             "upgrade k3saga-agent on this node"));
  }
  for (const Verb running : journal.running) {
    if (!Excludes(running, verb)) continue;
    return refuse(MakeReason(v1::BUSY, name,
                             absl::StrCat(std::string(VerbName(verb)), " has to wait for the ",
                                          std::string(VerbName(running)), " that is running"),
                             "ask again when it has settled"));
  }
  return {Kind::kStart, {}, FenceAfter(fence, verb, authority, now_unix_ms)};
}

std::optional<v1::Reason> JudgeStillHeld(const Fence& fence, const Record& record) {
  const bool ours = fence.claim.rollout() == record.id.rollout() &&
                    fence.claim.epoch() >= record.authority.epoch() && fence.hold != Fence::Hold::kReleased;
  if (ours) return std::nullopt;
  return Stale(fence, record.authority, "this node is held by somebody else now");
}

}  // namespace k3saga::operations
