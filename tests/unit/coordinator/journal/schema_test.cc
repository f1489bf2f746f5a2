#include "coordinator/journal/schema.h"

#include "tests/unit/common/temp_dir.h"

namespace k3saga::journal {
namespace {

using testing::HasSubstr;

Database Open(const std::string& path) { return *Database::Open(path, Database::Mode::kWrite); }

TEST(Schema, MarksItsFiles) {
  TempDir dir;
  Database database = Open(dir / "a.db");
  EXPECT_EQ(*SchemaVersion(database, JournalMigrations()), 0);
  ASSERT_TRUE(MigrateForward(database, JournalMigrations()).ok());
  EXPECT_EQ(*database.QueryInteger("PRAGMA application_id"), kApplicationId);
  EXPECT_EQ(*SchemaVersion(database, JournalMigrations()), static_cast<int64_t>(JournalMigrations().size()));
}

TEST(Schema, ALaterProgramBringsAnOlderFileForwardStepByStep) {
  TempDir dir;
  const std::string path = dir / "a.db";
  {
    Database database = Open(path);
    ASSERT_TRUE(MigrateForward(database, JournalMigrations()).ok());
    ASSERT_TRUE(database.Execute("INSERT INTO event VALUES ('r', 1, 2, x'00')").ok());
  }
  Migrations later = JournalMigrations();
  later.push_back("ALTER TABLE event ADD COLUMN note TEXT NOT NULL DEFAULT 'old'");
  later.push_back("CREATE INDEX by_kind ON event (kind)");
  {
    Database reader = *Database::Open(path, Database::Mode::kRead);
    const absl::Status status = CheckSchema(reader, later);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("older k3saga"));
  }
  Database database = Open(path);
  ASSERT_TRUE(MigrateForward(database, later).ok());
  EXPECT_EQ(*database.QueryText("SELECT note FROM event"), "old");
  EXPECT_TRUE(CheckSchema(database, later).ok());
  // And the older program now leaves it alone.
  EXPECT_THAT(std::string(MigrateForward(database, JournalMigrations()).message()),
              HasSubstr("newer k3saga"));
}

TEST(Schema, AStepThatFailsLeavesTheVersionBefore) {
  TempDir dir;
  Database database = Open(dir / "a.db");
  Migrations broken = JournalMigrations();
  broken.push_back("CREATE TABLE half (x); CREATE TABLE event (x)");
  EXPECT_FALSE(MigrateForward(database, broken).ok());
  EXPECT_EQ(*SchemaVersion(database, broken), static_cast<int64_t>(JournalMigrations().size()));
  EXPECT_EQ(*database.QueryInteger("SELECT count(*) FROM sqlite_master WHERE name = 'half'"), 0);
}

TEST(Schema, AnEmptyFileHoldsNothingForAReader) {
  TempDir dir;
  Database database = Open(dir / "a.db");
  EXPECT_EQ(CheckSchema(database, JournalMigrations()).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace k3saga::journal
