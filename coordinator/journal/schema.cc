#include "coordinator/journal/schema.h"

#include <absl/strings/str_cat.h>

#include "common/status_macros.h"

namespace k3saga::journal {
namespace {

// The application_id is set by every file's first step, together with its tables.
constexpr char kFirstSchema[] = R"sql(
PRAGMA application_id = 1798533994;
CREATE TABLE event (
  rollout TEXT NOT NULL,
  number INTEGER NOT NULL,  -- from 1, without gaps
  kind INTEGER NOT NULL,    -- the field number of the event's body (event.proto)
  body BLOB NOT NULL,       -- k3saga.v1.Event
  PRIMARY KEY (rollout, number)
) STRICT;
)sql";
static_assert(kApplicationId == 1798533994);

}  // namespace

const Migrations& JournalMigrations() {
  static const auto* migrations = new Migrations{kFirstSchema};
  return *migrations;
}

absl::StatusOr<int64_t> SchemaVersion(Database& database, const Migrations& migrations) {
  K3SAGA_ASSIGN_OR_RETURN(const int64_t application, database.QueryInteger("PRAGMA application_id"));
  K3SAGA_ASSIGN_OR_RETURN(const int64_t version, database.QueryInteger("PRAGMA user_version"));
  K3SAGA_ASSIGN_OR_RETURN(const int64_t tables, database.QueryInteger("SELECT count(*) FROM sqlite_master"));
  if (application == 0 && version == 0 && tables == 0) return 0;
  if (application != kApplicationId) {
    return absl::FailedPreconditionError(
        absl::StrCat(database.path(), " is a SQLite file, but not k3saga's journal; it was left as it is. ",
                     "Move it away, or use another state folder"));
  }
  if (version > static_cast<int64_t>(migrations.size())) {
    return absl::FailedPreconditionError(absl::StrCat(
        database.path(), " was written by a newer k3saga (journal version ", version, ", this program knows ",
        migrations.size(), "); it was left as it is. Use that k3saga, or another state folder"));
  }
  return version;
}

absl::Status MigrateForward(Database& database, const Migrations& migrations) {
  K3SAGA_ASSIGN_OR_RETURN(const int64_t version, SchemaVersion(database, migrations));
  for (auto step = static_cast<size_t>(version); step < migrations.size(); ++step) {
    Transaction transaction(database);
    K3SAGA_RETURN_IF_ERROR(transaction.Begin());
    K3SAGA_RETURN_IF_ERROR(database.Execute(migrations[step]));
    K3SAGA_RETURN_IF_ERROR(database.Execute(absl::StrCat("PRAGMA user_version = ", step + 1).c_str()));
    K3SAGA_RETURN_IF_ERROR(transaction.Commit());
  }
  return absl::OkStatus();
}

absl::Status CheckSchema(Database& database, const Migrations& migrations) {
  K3SAGA_ASSIGN_OR_RETURN(const int64_t version, SchemaVersion(database, migrations));
  if (version == 0) return absl::NotFoundError(absl::StrCat(database.path(), " holds no rollout yet"));
  if (version < static_cast<int64_t>(migrations.size())) {
    return absl::FailedPreconditionError(absl::StrCat(
        database.path(), " was written by an older k3saga (journal version ", version,
        ", this program reads ", migrations.size(), "); any command that runs a rollout brings it forward"));
  }
  return absl::OkStatus();
}

}  // namespace k3saga::journal
