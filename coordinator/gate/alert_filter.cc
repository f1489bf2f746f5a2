#include "coordinator/gate/alert_filter.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/status_macros.h"

namespace k3saga::gate {
namespace {

// What is left of the text, and where that is.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  void SkipSpace() {
    while (at_ < text_.size() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool AtEnd() const { return at_ == text_.size(); }
  bool Take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  std::string TakeName() {
    const size_t from = at_;
    while (at_ < text_.size() &&
           (absl::ascii_isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
      ++at_;
    return std::string(text_.substr(from, at_ - from));
  }
  absl::StatusOr<std::string> TakeQuoted() {
    if (!Take("\"")) return Expected("a value in double quotes");
    std::string value;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      value.push_back(text_[at_]);
    }
    if (!Take("\"")) return Expected("a closing quote");
    return value;
  }
  absl::Status Expected(std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("expected ", std::string(what), " at character ", at_ + 1,
                                                   " of ", std::string(text_),
                                                   "; a filter is written like severity=\"critical\""));
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

absl::StatusOr<std::regex> Compile(const std::string& pattern) {
  try {
    return std::regex(pattern, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", pattern, "\" is no regular expression: ", error.what()));
  }
}

}  // namespace

absl::StatusOr<AlertFilter> AlertFilter::Parse(std::string_view text) {
  AlertFilter filter;
  Cursor cursor(text);
  cursor.SkipSpace();
  const bool braces = cursor.Take("{");
  for (cursor.SkipSpace(); !cursor.AtEnd() && !(braces && cursor.Take("}")); cursor.SkipSpace()) {
    if (!filter.matchers_.empty() && !cursor.Take(",")) return cursor.Expected("a comma between two labels");
    cursor.SkipSpace();
    Matcher matcher;
    matcher.label = cursor.TakeName();
    if (matcher.label.empty()) return cursor.Expected("a label's name");
    cursor.SkipSpace();
    if (cursor.Take("=~")) {
      matcher.is_regex = true;
    } else if (cursor.Take("!~")) {
      matcher.is_regex = matcher.negated = true;
    } else if (cursor.Take("!=")) {
      matcher.negated = true;
    } else if (!cursor.Take("=")) {
      return cursor.Expected("=, !=, =~ or !~");
    }
    cursor.SkipSpace();
    K3SAGA_ASSIGN_OR_RETURN(matcher.value, cursor.TakeQuoted());
    if (matcher.is_regex) {
      K3SAGA_ASSIGN_OR_RETURN(matcher.regex, Compile(matcher.value));
    }
    filter.matchers_.push_back(std::move(matcher));
  }
  cursor.SkipSpace();
  if (!cursor.AtEnd()) return cursor.Expected("the end");
  return filter;
}

bool AlertFilter::Matches(const Labels& labels) const {
  return std::all_of(matchers_.begin(), matchers_.end(), [&](const Matcher& matcher) {
    const auto found = labels.find(matcher.label);
    const std::string value = found == labels.end() ? "" : found->second;
    const bool same = matcher.is_regex ? std::regex_match(value, matcher.regex) : value == matcher.value;
    return same != matcher.negated;
  });
}

}  // namespace k3saga::gate
