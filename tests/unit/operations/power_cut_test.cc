#include "tests/support/power_cut_disk.h"

#include <gtest/gtest.h>

#include "agent/operations/journal.h"
#include "tests/unit/operations/testing.h"

namespace k3saga::operations {
namespace {

constexpr uint64_t kOperations = 4;

v1::RunRequest CordonRequest(uint64_t sequence) {
  v1::RunRequest request;
  *request.mutable_id() = MakeId(sequence);
  *request.mutable_authority() = MakeAuthority(sequence);
  request.mutable_spec()->mutable_cordon()->set_node("w1");
  return request;
}

// What the journal promised before the power went.
struct Promised {
  std::string id;
  uint64_t accepted = 0;  // also the epoch of the fence
  uint64_t settled = 0;
};

// One operation after the other, each accepted under a higher epoch and taken to its end.
Promised Work(const std::string& path, const Clock& clock) {
  Promised promised;
  auto journal = Journal::Open(path, {}, &clock);
  if (!journal.ok()) return promised;
  promised.id = (*journal)->id();
  while (promised.settled < kOperations) {
    const uint64_t next = promised.settled + 1;
    auto accepted = (*journal)->Accept(CordonRequest(next));
    if (!accepted.ok()) return promised;
    promised.accepted = next;
    Record record = accepted->entry.record;
    Begin(record);
    while (!record.settled()) Advance(record, EffectResult::Done());
    if (!(*journal)->Save(record, {}).ok()) return promised;
    promised.settled = next;
  }
  return promised;
}

// Wherever power fails: what was accepted is known, what was settled is settled, the fence has not shrunk,
// and the journal is still the same one.
TEST(PowerCut, TakesNothingThatTheAgentPromised) {
  FakeClock clock;
  std::unique_ptr<TempFolder> folder;
  Promised promised;
  int cuts = 0;
  const auto story = [&] {
    folder = std::make_unique<TempFolder>();
    promised = Work(*folder / "journal.db", clock);
  };
  const auto check = [&] {
    SCOPED_TRACE(++cuts);
    auto journal = Journal::Open(*folder / "journal.db", {}, &clock);
    ASSERT_TRUE(journal.ok()) << journal.status();
    EXPECT_TRUE(promised.id.empty() || (*journal)->id() == promised.id);
    const auto entries = (*journal)->List(100);
    ASSERT_TRUE(entries.ok()) << entries.status();
    EXPECT_GE(entries->size(), promised.accepted);
    EXPECT_LE(entries->size(), promised.settled + 1);
    uint64_t settled = 0;
    for (const Entry& entry : *entries) settled += entry.record.settled() ? 1 : 0;
    EXPECT_GE(settled, promised.settled);
    EXPECT_EQ((*journal)->ReadFence()->claim.epoch(), entries->size());
    EXPECT_TRUE((*journal)->Accept(CordonRequest(entries->size() + 1)).ok());
  };
  AtEveryCut(story, check);
  EXPECT_GT(cuts, 30) << "steps at which power can fail";
}

}  // namespace
}  // namespace k3saga::operations
