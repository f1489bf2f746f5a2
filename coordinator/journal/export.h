#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "k3saga/v1/event.pb.h"

namespace k3saga::journal {

// A rollout as JSON lines: a head line {"k3saga_history": 1, ...}, then one event a line (protobuf's JSON).
// Ends with a newline.
absl::StatusOr<std::string> ExportJsonLines(const std::vector<v1::Event>& events);

// Reads it back. kInvalidArgument names the line, and says so when a newer k3saga wrote it: an event or field
// that this program does not know is refused, never skipped.
absl::StatusOr<std::vector<v1::Event>> ImportJsonLines(std::string_view text);

}  // namespace k3saga::journal
