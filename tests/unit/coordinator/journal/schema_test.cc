#include "coordinator/journal/schema.h"

#include "tests/unit/common/temp_dir.h"

namespace k3saga::journal {
namespace {

using sqlite::Database;
using testing::HasSubstr;

Database Open(const std::string& path) { return *Database::Open(path, Database::Mode::kWrite); }

TEST(JournalSchema, MarksItsFiles) {
  TempDir dir;
  Database database = Open(dir / "a.db");
  EXPECT_EQ(*SchemaVersion(database, JournalSchema()), 0);
  EXPECT_EQ(CheckSchema(database, JournalSchema()).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(MigrateForward(database, JournalSchema()).ok());
  EXPECT_EQ(*database.QueryInteger("PRAGMA application_id"), JournalSchema().application_id);
  EXPECT_TRUE(CheckSchema(database, JournalSchema()).ok());
}

TEST(JournalSchema, ALaterProgramBringsAnOlderFileForwardStepByStep) {
  TempDir dir;
  const std::string path = dir / "a.db";
  {
    Database database = Open(path);
    ASSERT_TRUE(MigrateForward(database, JournalSchema()).ok());
    ASSERT_TRUE(database.Execute("INSERT INTO event VALUES ('r', 1, 2, x'00')").ok());
  }
  sqlite::Schema later = JournalSchema();
  later.migrations.push_back("ALTER TABLE event ADD COLUMN note TEXT NOT NULL DEFAULT 'old'");
  later.migrations.push_back("CREATE INDEX by_kind ON event (kind)");
  {
    Database reader = *Database::Open(path, Database::Mode::kRead);
    EXPECT_THAT(std::string(CheckSchema(reader, later).message()), HasSubstr("older k3saga"));
  }
  Database database = Open(path);
  ASSERT_TRUE(MigrateForward(database, later).ok());
  EXPECT_EQ(*database.QueryText("SELECT note FROM event"), "old");
  EXPECT_TRUE(CheckSchema(database, later).ok());
  // And the older program now leaves it alone.
  EXPECT_THAT(std::string(MigrateForward(database, JournalSchema()).message()), HasSubstr("newer k3saga"));
}

TEST(JournalSchema, AStepThatFailsLeavesTheVersionBefore) {
  TempDir dir;
  Database database = Open(dir / "a.db");
  sqlite::Schema broken = JournalSchema();
  const auto good = static_cast<int64_t>(broken.migrations.size());
  broken.migrations.push_back("CREATE TABLE half (x); CREATE TABLE event (x)");
  EXPECT_FALSE(MigrateForward(database, broken).ok());
  EXPECT_EQ(*SchemaVersion(database, broken), good);
  EXPECT_EQ(*database.QueryInteger("SELECT count(*) FROM sqlite_master WHERE name = 'half'"), 0);
}

}  // namespace
}  // namespace k3saga::journal
