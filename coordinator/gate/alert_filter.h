#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::gate {

using Labels = std::map<std::string, std::string>;

// Label matchers as PromQL writes them: severity="critical", team=~"shop|pay", alertname!="Watchdog". All
// have to match; none match everything. A value.
class AlertFilter {
 public:
  // kInvalidArgument says what was expected where.
  static absl::StatusOr<AlertFilter> Parse(std::string_view text);

  // A label that is missing counts as empty.
  bool Matches(const Labels& labels) const;

 private:
  struct Matcher {
    std::string label;
    std::string value;
    bool is_regex = false;
    bool negated = false;
    std::regex regex;  // the whole value, as PromQL anchors it
  };
  std::vector<Matcher> matchers_;
};

}  // namespace k3saga::gate
