#include "agent/operations/fencing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/reason.h"

namespace k3saga::operations {
namespace {

using Hold = Fence::Hold;
using Kind = Admission::Kind;

v1::Authority By(std::string_view rollout, uint64_t epoch, std::string_view holder) {
  v1::Authority authority;
  authority.set_rollout(std::string(rollout));
  authority.set_epoch(epoch);
  authority.set_holder(std::string(holder));
  return authority;
}

Fence FenceOf(Hold hold, const v1::Authority& authority) {
  Fence fence;
  fence.hold = hold;
  if (hold == Hold::kNever) return fence;
  fence.claim.set_rollout(authority.rollout());
  fence.claim.set_epoch(authority.epoch());
  fence.claim.set_holder(authority.holder());
  fence.claim.set_active(hold == Hold::kHeld);
  return fence;
}

v1::OperationSpec Spec(Verb verb) {
  v1::OperationSpec spec;
  switch (verb) {
    case Verb::kClaim:
      spec.mutable_claim();
      break;
    case Verb::kReleaseClaim:
      spec.mutable_release_claim();
      break;
    case Verb::kStage:
      spec.mutable_stage();
      break;
    case Verb::kInstall:
      spec.mutable_install();
      break;
    case Verb::kCordon:
      spec.mutable_cordon();
      break;
    default:
      break;
  }
  return spec;
}

v1::OperationId Id(uint64_t sequence) {
  v1::OperationId id;
  id.set_rollout("r1");
  id.set_sequence(sequence);
  id.set_attempt(1);
  return id;
}

const v1::Authority kAda = By("r1", 5, "ada");
const v1::Authority kAdaResumed = By("r1", 6, "ada again");
const v1::Authority kBob = By("r2", 5, "bob");
const v1::Authority kBobTakesOver = By("r2", 6, "bob");
const v1::Authority kOld = By("r0", 4, "eve");

struct Case {
  std::string name;
  Fence fence;
  JournalView journal;
  v1::Authority authority;
  Verb verb;
  Kind kind;
  v1::ReasonCode reason;
  Hold hold;       // afterwards
  uint64_t epoch;  // afterwards
};

TEST(FencingTest, AdmitsByAuthorityThenByName) {
  const Fence never;
  const Fence held = FenceOf(Hold::kHeld, kAda);
  const Fence seen = FenceOf(Hold::kSeen, kAda);
  const Fence released = FenceOf(Hold::kReleased, kAda);
  const JournalView fresh;
  const JournalView known{true, 0, {}};
  const JournalView pruned{false, 10, {}};
  const JournalView installing{false, 0, {Verb::kInstall}};
  const JournalView cordoning{false, 0, {Verb::kCordon}};
  const JournalView lost{false, 0, {}, true};
  const JournalView lost_but_known{true, 0, {}, true};
  const auto ok = v1::REASON_UNSPECIFIED;
  const std::vector<Case> cases = {
      {"the first claim", never, fresh, kAda, Verb::kClaim, Kind::kStart, ok, Hold::kHeld, 5},
      {"work without a claim", never, fresh, kAda, Verb::kStage, Kind::kStart, ok, Hold::kSeen, 5},
      {"claim after work", seen, fresh, kAda, Verb::kClaim, Kind::kStart, ok, Hold::kHeld, 5},
      {"work under the claim", held, fresh, kAda, Verb::kInstall, Kind::kStart, ok, Hold::kHeld, 5},
      {"the same claim again", held, fresh, kAda, Verb::kClaim, Kind::kStart, ok, Hold::kHeld, 5},
      {"no epoch", never, fresh, By("r1", 0, "ada"), Verb::kClaim, Kind::kRefuse, v1::STALE_EPOCH,
       Hold::kNever, 0},
      {"a lower epoch", held, fresh, kOld, Verb::kInstall, Kind::kRefuse, v1::STALE_EPOCH, Hold::kHeld, 5},
      {"a lower epoch's claim", held, fresh, kOld, Verb::kClaim, Kind::kRefuse, v1::STALE_EPOCH, Hold::kHeld,
       5},
      {"a lower epoch, known", held, known, kOld, Verb::kInstall, Kind::kRefuse, v1::STALE_EPOCH, Hold::kHeld,
       5},
      {"same epoch, other rollout", held, fresh, kBob, Verb::kClaim, Kind::kRefuse, v1::STALE_EPOCH,
       Hold::kHeld, 5},
      {"same epoch, other holder", held, fresh, By("r1", 5, "bob"), Verb::kClaim, Kind::kRefuse,
       v1::STALE_EPOCH, Hold::kHeld, 5},
      {"same epoch, other holder, only seen", seen, fresh, kBob, Verb::kStage, Kind::kRefuse, v1::STALE_EPOCH,
       Hold::kSeen, 5},
      {"takeover", held, fresh, kBobTakesOver, Verb::kClaim, Kind::kStart, ok, Hold::kHeld, 6},
      {"resumed", held, known, kAdaResumed, Verb::kInstall, Kind::kAttach, ok, Hold::kSeen, 6},
      {"attach", held, known, kAda, Verb::kInstall, Kind::kAttach, ok, Hold::kHeld, 5},
      {"attach while busy",
       held,
       {true, 0, {Verb::kInstall}},
       kAda,
       Verb::kInstall,
       Kind::kAttach,
       ok,
       Hold::kHeld,
       5},
      {"older than what is remembered", held, pruned, kAda, Verb::kInstall, Kind::kRefuse,
       v1::STALE_OPERATION, Hold::kHeld, 5},
      {"a journal that is not the one it was given to", held, lost, kAda, Verb::kInstall, Kind::kRefuse,
       v1::LOST_OPERATION, Hold::kHeld, 5},
      {"another journal that knows it", held, lost_but_known, kAda, Verb::kInstall, Kind::kAttach, ok,
       Hold::kHeld, 5},
      {"an unknown verb", held, fresh, kAda, Verb::kUnknown, Kind::kRefuse, v1::UNKNOWN_ACTION, Hold::kHeld,
       5},
      {"an unknown verb leaves no trace", never, fresh, kAda, Verb::kUnknown, Kind::kRefuse,
       v1::UNKNOWN_ACTION, Hold::kNever, 0},
      {"stage while installing", held, installing, kAda, Verb::kStage, Kind::kRefuse, v1::BUSY, Hold::kHeld,
       5},
      {"install while installing", held, installing, kAda, Verb::kInstall, Kind::kRefuse, v1::BUSY,
       Hold::kHeld, 5},
      {"release while installing", held, installing, kAda, Verb::kReleaseClaim, Kind::kRefuse, v1::BUSY,
       Hold::kHeld, 5},
      {"takeover while installing", held, installing, kBobTakesOver, Verb::kClaim, Kind::kStart, ok,
       Hold::kHeld, 6},
      {"cordon while installing", held, installing, kAda, Verb::kCordon, Kind::kStart, ok, Hold::kHeld, 5},
      {"install while cordoning", held, cordoning, kAda, Verb::kInstall, Kind::kStart, ok, Hold::kHeld, 5},
      {"release", held, fresh, kAda, Verb::kReleaseClaim, Kind::kStart, ok, Hold::kReleased, 5},
      {"its answer asked for again", released, known, kAda, Verb::kReleaseClaim, Kind::kAttach, ok,
       Hold::kReleased, 5},
      {"a release that failed, again", released, fresh, kAda, Verb::kReleaseClaim, Kind::kStart, ok,
       Hold::kReleased, 5},
      {"late packet after the release", released, fresh, kAda, Verb::kInstall, Kind::kRefuse, v1::STALE_EPOCH,
       Hold::kReleased, 5},
      {"claim again after the release", released, fresh, kAda, Verb::kClaim, Kind::kRefuse, v1::STALE_EPOCH,
       Hold::kReleased, 5},
      {"the next rollout", released, fresh, kBobTakesOver, Verb::kClaim, Kind::kStart, ok, Hold::kHeld, 6},
      {"the next rollout must have a higher epoch", released, fresh, kBob, Verb::kClaim, Kind::kRefuse,
       v1::STALE_EPOCH, Hold::kReleased, 5},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.name);
    const Admission admission = Admit(each.fence, each.journal, each.authority, Id(7), Spec(each.verb), 1234);
    EXPECT_EQ(admission.kind, each.kind);
    EXPECT_EQ(admission.reason.code(), each.reason) << Describe(admission.reason);
    EXPECT_EQ(admission.fence.hold, each.hold);
    EXPECT_EQ(admission.fence.claim.epoch(), each.epoch);
    EXPECT_EQ(admission.fence.claim.active(), each.hold == Hold::kHeld);
    EXPECT_GE(admission.fence.claim.epoch(), each.fence.claim.epoch());
  }
}

TEST(FencingTest, OnlyTheFloorOrBelowIsStale) {
  const Fence held = FenceOf(Hold::kHeld, kAda);
  EXPECT_EQ(Admit(held, {false, 7, {}}, kAda, Id(7), Spec(Verb::kCordon), 1).reason.code(),
            v1::STALE_OPERATION);
  EXPECT_EQ(Admit(held, {false, 7, {}}, kAda, Id(8), Spec(Verb::kCordon), 1).kind, Kind::kStart);
  EXPECT_EQ(Admit(held, {true, 7, {}}, kAda, Id(7), Spec(Verb::kCordon), 1).kind, Kind::kAttach);
}

TEST(FencingTest, ASuccessorInheritsWhatRuns) {
  const Record record = NewRecord(Id(7), kAda, std::make_shared<v1::OperationSpec>(Spec(Verb::kInstall)));
  EXPECT_EQ(JudgeStillHeld(FenceOf(Hold::kHeld, kAda), record), std::nullopt);
  EXPECT_EQ(JudgeStillHeld(FenceOf(Hold::kSeen, kAda), record), std::nullopt);
  EXPECT_EQ(JudgeStillHeld(FenceOf(Hold::kHeld, kAdaResumed), record), std::nullopt);
  EXPECT_EQ(JudgeStillHeld(FenceOf(Hold::kHeld, kBobTakesOver), record)->code(), v1::STALE_EPOCH);
  EXPECT_EQ(JudgeStillHeld(FenceOf(Hold::kReleased, kAda), record)->code(), v1::STALE_EPOCH);
}

}  // namespace
}  // namespace k3saga::operations
