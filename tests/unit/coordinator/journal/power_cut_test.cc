#include "tests/support/power_cut_disk.h"

#include "coordinator/journal/sqlite_journal.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/coordinator/journal/events.h"

namespace k3saga::journal {
namespace {

constexpr char kRollout[] = "20260131-142507-4f2a";
constexpr size_t kBatches = 6;

// Of different sizes, so that pages and sectors are hit everywhere.
std::vector<v1::Event> Batch(size_t number) {
  std::vector<v1::Event> events;
  if (number == 0) events.push_back(CreatedEvent(kRollout));
  for (size_t i = 0; i <= number; ++i) events.push_back(HeldEvent(std::string(900, 'a')));
  return events;
}

// Wherever power fails (also while the file is made, and while it is put in order on closing): every batch
// that Append promised is there, the one that was on its way is there as a whole or not at all, and the
// rollout goes on.
TEST(PowerCut, TakesNoBatchThatWasAppended) {
  std::unique_ptr<TempDir> dir;
  size_t promised = 0;  // batches
  size_t cuts = 0;
  const auto story = [&] {
    dir = std::make_unique<TempDir>();
    promised = 0;
    size_t events = 0;
    while (promised < kBatches) {
      auto journal = SqliteJournal::OpenToWrite(*dir / "state/journal.db", ThisProcess());
      if (!journal.ok()) return;
      // Closed in the middle: what the log holds moves into the file.
      const size_t until = promised + kBatches / 2;
      for (; promised < until; ++promised) {
        if (!(*journal)->Append(kRollout, events, Batch(promised)).ok()) return;
        events += Batch(promised).size();
      }
    }
  };
  const auto check = [&] {
    SCOPED_TRACE(++cuts);
    auto journal = SqliteJournal::OpenToWrite(*dir / "state/journal.db", ThisProcess());
    ASSERT_TRUE(journal.ok()) << journal.status();
    const auto read = (*journal)->Read(kRollout);
    const size_t there = read.ok() ? read->size() : 0;
    size_t least = 0;
    for (size_t i = 0; i < promised; ++i) least += Batch(i).size();
    const size_t most = least + (promised < kBatches ? Batch(promised).size() : 0);
    EXPECT_TRUE(there == least || there == most) << there << " events of " << least << " or " << most;
    EXPECT_TRUE((*journal)->Append(kRollout, there, {CreatedEvent(kRollout)}).ok());
  };
  AtEveryCut(story, check);
  EXPECT_GT(cuts, 50u) << "steps at which power can fail";
}

}  // namespace
}  // namespace k3saga::journal
