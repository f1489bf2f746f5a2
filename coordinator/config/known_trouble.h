#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "coordinator/core/planner/known_trouble.h"

namespace k3saga::config {

// The text of known-trouble.yaml as this program was built with it.
extern const char kBuiltInTrouble[];

// Entries of one data file, checked. `path` is used for messages: kInvalidArgument, one "FILE:LINE:COLUMN:
// ..." a line.
absl::StatusOr<std::vector<core::KnownTrouble>> ParseKnownTrouble(const std::string& text,
                                                                  const std::string& path);

// The built-in table, with every *.yaml of `folder` ("": none) in the order of their names: an entry with a
// known id takes that one's place, the others are added. kNotFound when there is no such folder.
absl::StatusOr<std::vector<core::KnownTrouble>> LoadKnownTrouble(const std::string& folder);

}  // namespace k3saga::config
