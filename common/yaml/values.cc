#include "common/yaml/values.h"

#include <algorithm>
#include <cstdint>

namespace k3saga::yaml {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  int64_t milliseconds;
};
// In the order in which a duration names them; "ms" is told from "m" by the letters that follow.
constexpr Unit kUnits[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr int kMostDigits = 9;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Letters to insert, drop, change, or swap with their neighbour.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      const size_t change = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({change, cost[i - 1][j] + 1, cost[i][j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::optional<milliseconds> ParseDuration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  size_t next_unit = 0;
  while (!text.empty()) {
    size_t digits = 0;
    int64_t number = 0;
    while (digits < text.size() && IsDigit(text[digits])) {
      if (digits == kMostDigits) return std::nullopt;
      number = number * 10 + (text[digits++] - '0');
    }
    size_t letters = digits;
    while (letters < text.size() && !IsDigit(text[letters])) ++letters;
    if (digits == 0 || letters == digits) return std::nullopt;
    const std::string_view name = text.substr(digits, letters - digits);
    while (next_unit < std::size(kUnits) && kUnits[next_unit].name != name) ++next_unit;
    if (next_unit == std::size(kUnits)) return std::nullopt;
    total += number * kUnits[next_unit++].milliseconds;
    text.remove_prefix(letters);
  }
  return milliseconds(total);
}

std::string FormatDuration(milliseconds duration) {
  int64_t left = duration.count();
  std::string text;
  for (const Unit& unit : kUnits) {
    if (left < unit.milliseconds) continue;
    text += std::to_string(left / unit.milliseconds) + std::string(unit.name);
    left %= unit.milliseconds;
  }
  return text.empty() ? "0s" : text;
}

std::optional<std::string> ClosestWord(std::string_view word, const std::vector<std::string>& candidates) {
  // A third of the letters may be wrong, and at least one.
  size_t best = std::max<size_t>(word.size() / 3, 1) + 1;
  std::optional<std::string> closest;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best) {
      best = distance;
      closest = candidate;
    }
  }
  return closest;
}

}  // namespace k3saga::yaml
