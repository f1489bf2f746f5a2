#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/sqlite/database.h"

namespace k3saga::sqlite {

// What a file of ours holds and how it came to: the N-th entry brings a file of version N to N + 1. Entries
// are only ever added.
struct Schema {
  int64_t application_id;  // PRAGMA application_id: whose file it is
  std::string what;        // "the agent's journal", for errors
  std::vector<const char*> migrations;
};

// The version of the file, 0 for an empty one. kFailedPrecondition for a file that is not ours or was written
// by a newer program: it is left as it is.
absl::StatusOr<int64_t> SchemaVersion(Database& database, const Schema& schema);

// Brings the file forward, each step in a transaction of its own. Safe beside other processes that do the
// same.
absl::Status MigrateForward(Database& database, const Schema& schema);

// OK only for a file of exactly this version; kNotFound for an empty one.
absl::Status CheckSchema(Database& database, const Schema& schema);

// WAL, and every commit on the disk before it returns. Settings are read back: a file system where they do
// not hold is refused.
absl::Status SetDurable(Database& database);

// Reads the whole file; kDataLoss when it is damaged.
absl::Status CheckIntegrity(Database& database);

}  // namespace k3saga::sqlite
