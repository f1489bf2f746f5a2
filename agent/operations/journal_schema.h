#pragma once

#include "common/sqlite/schema.h"

namespace k3saga::operations {

// The agent's journal file, from its first version to this program's.
const sqlite::Schema& JournalSchema();

}  // namespace k3saga::operations
