#include "common/sqlite/schema.h"

#include <absl/strings/str_cat.h>

#include "common/status_macros.h"

namespace k3saga::sqlite {

absl::StatusOr<int64_t> SchemaVersion(Database& database, const Schema& schema) {
  K3SAGA_ASSIGN_OR_RETURN(const int64_t application, database.QueryInteger("PRAGMA application_id"));
  K3SAGA_ASSIGN_OR_RETURN(const int64_t version, database.QueryInteger("PRAGMA user_version"));
  K3SAGA_ASSIGN_OR_RETURN(const int64_t tables, database.QueryInteger("SELECT count(*) FROM sqlite_master"));
  if (application == 0 && version == 0 && tables == 0) return 0;
  if (application != schema.application_id) {
    return absl::FailedPreconditionError(absl::StrCat(database.path(), " is a SQLite file, but not ",
                                                      schema.what,
                                                      "; it was left as it is. Move it away, or use another "
                                                      "state folder"));
  }
  if (version > static_cast<int64_t>(schema.migrations.size())) {
    return absl::FailedPreconditionError(
        absl::StrCat(database.path(), " was written by a newer k3saga (version ", version, " of ",
                     schema.what, ", this program knows ", schema.migrations.size(),
                     "); it was left as it is. Use that k3saga, or another state folder"));
  }
  return version;
}

absl::Status MigrateForward(Database& database, const Schema& schema) {
  for (;;) {
    K3SAGA_ASSIGN_OR_RETURN(const int64_t seen, SchemaVersion(database, schema));
    if (seen == static_cast<int64_t>(schema.migrations.size())) return absl::OkStatus();
    Transaction transaction(database);
    K3SAGA_RETURN_IF_ERROR(transaction.Begin());
    // Another process may have been faster: look again, now that nobody else can write.
    K3SAGA_ASSIGN_OR_RETURN(const int64_t version, SchemaVersion(database, schema));
    if (version == static_cast<int64_t>(schema.migrations.size())) return absl::OkStatus();
    K3SAGA_RETURN_IF_ERROR(database.Execute(schema.migrations[static_cast<size_t>(version)]));
    K3SAGA_RETURN_IF_ERROR(
        database.Execute(absl::StrCat("PRAGMA application_id = ", schema.application_id).c_str()));
    K3SAGA_RETURN_IF_ERROR(database.Execute(absl::StrCat("PRAGMA user_version = ", version + 1).c_str()));
    K3SAGA_RETURN_IF_ERROR(transaction.Commit());
  }
}

absl::Status CheckSchema(Database& database, const Schema& schema) {
  K3SAGA_ASSIGN_OR_RETURN(const int64_t version, SchemaVersion(database, schema));
  if (version == 0) return absl::NotFoundError(absl::StrCat(database.path(), " is empty"));
  if (version < static_cast<int64_t>(schema.migrations.size())) {
    return absl::FailedPreconditionError(
        absl::StrCat(database.path(), " was written by an older k3saga (version ", version, " of ",
                     schema.what, ", this program reads ", schema.migrations.size(), ")"));
  }
  return absl::OkStatus();
}

absl::Status SetDurable(Database& database) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string mode, database.QueryText("PRAGMA journal_mode = WAL"));
  K3SAGA_RETURN_IF_ERROR(database.Execute("PRAGMA synchronous = FULL"));
  K3SAGA_ASSIGN_OR_RETURN(const int64_t synchronous, database.QueryInteger("PRAGMA synchronous"));
  if (mode != "wal" || synchronous != 2) {
    return absl::FailedPreconditionError(absl::StrCat(
        database.path(), ": this file system does not allow a durable journal (journal_mode ", mode,
        ", synchronous ", synchronous, "; wanted wal and 2); put the state folder on a local disk"));
  }
  return absl::OkStatus();
}

absl::Status CheckIntegrity(Database& database) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string verdict, database.QueryText("PRAGMA quick_check(1)"));
  if (verdict == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(database.path(), " is damaged (", verdict,
                                          "); it was left as it is: restore a copy of it, or move it away"));
}

}  // namespace k3saga::sqlite
