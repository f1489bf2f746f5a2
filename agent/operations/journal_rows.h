#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>

#include "agent/operations/journal.h"
#include "common/sqlite/database.h"

namespace k3saga::operations {

// An operation as a row of the journal's table, and back.

// In the order in which DecodeEntry reads them.
inline constexpr std::string_view kColumns =
    "rollout, sequence, attempt, spec, authority, phase, starts, starts_before_turning, turned, outcome, "
    "notes, deadline_boot_id, deadline_steady_ms, progress, cancel_requested, accepted_unix_ms, "
    "settled_unix_ms";

inline constexpr std::string_view kThisOne = "rollout = ? AND sequence = ? AND attempt = ?";

// Binds kThisOne's parameters from `index` on; returns the next one's.
int BindId(sqlite::Statement& statement, int index, const v1::OperationId& id);

std::string EncodeNotes(const std::map<std::string, std::string>& notes);

// kDataLoss, with the file's name, for what this agent cannot read.
absl::StatusOr<Entry> DecodeEntry(const sqlite::Statement& row, const std::string& path);

}  // namespace k3saga::operations
