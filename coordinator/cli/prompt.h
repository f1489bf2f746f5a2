#pragma once

#include <string_view>

#include "coordinator/cli/console.h"

namespace k3saga::cli {

// Asks on stderr and reads one line from stdin; only "y" and "yes" are a yes. The caller has seen that stdin
// is a terminal.
bool Confirm(const Console& console, std::string_view question);

// The same for what cannot be undone: only the cluster's own name is a yes.
bool ConfirmByName(const Console& console, std::string_view cluster);

}  // namespace k3saga::cli
