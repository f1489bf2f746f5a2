#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::yaml {

// "15s", "5m", "1h30m", "250ms"; nullopt for anything else. A bare number has no unit and is refused.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);
// "1h30m", "15s", "250ms": reads back as the same duration.
std::string FormatDuration(std::chrono::milliseconds duration);

// The candidate that `word` was probably meant to be; nullopt when none is close.
std::optional<std::string> ClosestWord(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace k3saga::yaml
