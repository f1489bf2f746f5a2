#pragma once

#include "common/sqlite/schema.h"

namespace k3saga::journal {

// What the coordinator's journal holds, version by version.
const sqlite::Schema& JournalSchema();

}  // namespace k3saga::journal
