#include "agent/operations/journal_schema.h"

namespace k3saga::operations {
namespace {

constexpr char kFirst[] = R"sql(
CREATE TABLE journal (
  only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
  id TEXT NOT NULL
) STRICT;

INSERT INTO journal VALUES (1, lower(hex(randomblob(8))));

CREATE TABLE fence (
  only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
  hold INTEGER NOT NULL,            -- Fence::Hold
  rollout TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  holder TEXT NOT NULL,
  since_unix_ms INTEGER NOT NULL,
  adoption BLOB NOT NULL            -- k3saga.v1.RolloutCreated of the claim that is held
) STRICT;

CREATE TABLE operation (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order they were accepted
  rollout TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  spec BLOB NOT NULL,               -- k3saga.v1.OperationSpec
  authority BLOB NOT NULL,          -- k3saga.v1.Authority of whoever asked last
  phase TEXT NOT NULL,              -- PhaseName
  starts INTEGER NOT NULL,
  starts_before_turning INTEGER NOT NULL,
  turned INTEGER NOT NULL,
  outcome BLOB NOT NULL,            -- k3saga.v1.Outcome
  notes TEXT NOT NULL,              -- JSON object of strings
  deadline_boot_id TEXT NOT NULL,
  deadline_steady_ms INTEGER NOT NULL,
  progress BLOB NOT NULL,           -- k3saga.v1.Progress
  cancel_requested INTEGER NOT NULL,
  accepted_unix_ms INTEGER NOT NULL,
  settled_unix_ms INTEGER NOT NULL, -- 0: not settled
  UNIQUE (rollout, sequence, attempt)
) STRICT;

CREATE INDEX operation_by_settled ON operation (settled_unix_ms);

CREATE TABLE floor (
  rollout TEXT PRIMARY KEY,
  sequence INTEGER NOT NULL,        -- the highest one that was forgotten
  since_unix_ms INTEGER NOT NULL
) STRICT;
)sql";

}  // namespace

const sqlite::Schema& JournalSchema() {
  static const auto* schema = new sqlite::Schema{0x6b336f70, "the agent's journal", {kFirst}};
  return *schema;
}

}  // namespace k3saga::operations
