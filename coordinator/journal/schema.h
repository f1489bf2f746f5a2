#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <vector>

#include "coordinator/journal/database.h"

namespace k3saga::journal {

// A file of ours carries this in its header (PRAGMA application_id): "k3sj".
inline constexpr int64_t kApplicationId = 0x6b33736a;

// The SQL that leads from schema version N (its place in the list) to N + 1. Only ever grows at its end.
using Migrations = std::vector<const char*>;
const Migrations& JournalMigrations();

// The file's version; 0 for one that nobody has written to yet. Refuses files that are not ours, and newer
// ones. Writes nothing.
absl::StatusOr<int64_t> SchemaVersion(Database& database, const Migrations& migrations);

// Brings the file to the newest version, each step in a transaction of its own together with its number.
absl::Status MigrateForward(Database& database, const Migrations& migrations);

// For readers: the file has to be at the newest version. kNotFound when nothing was written to it yet.
absl::Status CheckSchema(Database& database, const Migrations& migrations);

}  // namespace k3saga::journal
