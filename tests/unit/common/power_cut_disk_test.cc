#include "tests/support/power_cut_disk.h"

#include "common/sqlite/database.h"
#include "common/sqlite/schema.h"
#include "tests/unit/common/temp_dir.h"

// The disk that other tests trust: it takes what SQLite was told not to sync, and nothing else.
namespace k3saga {
namespace {

// Rows whose commit was promised and that are gone after a cut, over all cuts.
int64_t RowsLost(const char* synchronous) {
  TempDir dir;
  const std::string path = dir / "rows.db";
  int64_t promised = 0;
  int64_t lost = 0;
  const auto story = [&] {
    promised = 0;
    auto database = sqlite::Database::Open(path, sqlite::Database::Mode::kWrite);
    if (!database.ok() || !sqlite::SetDurable(*database).ok()) return;
    if (!database->Execute(absl::StrCat("PRAGMA synchronous = ", synchronous).c_str()).ok()) return;
    if (!database->Execute("CREATE TABLE IF NOT EXISTS row (number INTEGER)").ok()) return;
    while (promised < 5 && database->Execute("INSERT INTO row VALUES (1)").ok()) ++promised;
  };
  const auto check = [&] {
    auto database = sqlite::Database::Open(path, sqlite::Database::Mode::kWrite);
    ASSERT_TRUE(database.ok()) << database.status();
    const absl::Status whole = sqlite::CheckIntegrity(*database);
    ASSERT_TRUE(whole.ok()) << whole;
    const auto rows = database->QueryInteger("SELECT count(*) FROM row");
    lost += std::max<int64_t>(0, promised - (rows.ok() ? *rows : 0));
    ASSERT_TRUE(database->Execute("DROP TABLE IF EXISTS row").ok());
  };
  AtEveryCut(story, check);
  return lost;
}

TEST(PowerCutDisk, KeepsWhatWasSynced) { EXPECT_EQ(RowsLost("FULL"), 0); }

TEST(PowerCutDisk, TakesWhatWasNot) { EXPECT_GT(RowsLost("NORMAL"), 0); }

}  // namespace
}  // namespace k3saga
