#include <absl/strings/str_cat.h>

#include <cstring>

#include "agent/node/unit_file.h"

namespace k3saga::node {
namespace {

// systemd reads an environment file with a state machine of its own: quotes only count where a value (or
// another quoted part of it) begins, a backslash outside of quotes is dropped, inside of double quotes it
// stays unless it escapes one of
// "\`$ .
class EnvironmentFileParser {
 public:
  std::vector<Variable> Parse(std::string_view text) {
    for (const char c : text) Take(c);
    // No newline at the end, or a quote that was never closed: what was read so far counts.
    const bool in_value = state_ != State::kBeforeKey && state_ != State::kKey && state_ != State::kComment &&
                          state_ != State::kCommentEscape;
    if (in_value) Finish();
    return std::move(variables_);
  }

 private:
  enum class State : uint8_t {
    kBeforeKey,
    kKey,
    kBeforeValue,
    kValue,
    kValueEscape,
    kSingleQuoted,
    kDoubleQuoted,
    kDoubleQuotedEscape,
    kComment,
    kCommentEscape,
  };

  static bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

  void Finish() {
    while (!key_.empty() && IsBlank(key_.back())) key_.pop_back();
    value_.resize(std::max(keep_, TrimmedSize()));
    const bool valid =
        !key_.empty() && std::strchr("0123456789", key_[0]) == nullptr &&
        key_.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
            std::string::npos;
    if (valid) variables_.push_back({key_, value_});
    key_.clear();
    value_.clear();
    keep_ = 0;
    state_ = State::kBeforeKey;
  }

  // Blanks at the end of an unquoted value do not count; quoted or escaped ones (up to `keep_`) do.
  size_t TrimmedSize() const {
    const size_t last = value_.find_last_not_of(" \t\r");
    return last == std::string::npos ? 0 : last + 1;
  }

  void Protect(char c) {
    value_.push_back(c);
    keep_ = value_.size();
  }

  void Take(char c) {
    switch (state_) {
      case State::kBeforeKey:
        if (c == '#' || c == ';') {
          state_ = State::kComment;
        } else if (!IsBlank(c) && c != '\n') {
          key_.push_back(c);
          state_ = State::kKey;
        }
        break;
      case State::kKey:
        if (c == '\n') {
          key_.clear();
          state_ = State::kBeforeKey;
        } else if (c == '=') {
          state_ = State::kBeforeValue;
        } else {
          key_.push_back(c);
        }
        break;
      case State::kBeforeValue:
        if (c == '\n') {
          Finish();
        } else if (c == '\'') {
          state_ = State::kSingleQuoted;
        } else if (c == '"') {
          state_ = State::kDoubleQuoted;
        } else if (c == '\\') {
          state_ = State::kValueEscape;
        } else if (!IsBlank(c)) {
          value_.push_back(c);
          state_ = State::kValue;
        }
        break;
      case State::kValue:
        if (c == '\n') {
          Finish();
        } else if (c == '\\') {
          state_ = State::kValueEscape;
        } else {
          value_.push_back(c);
        }
        break;
      case State::kValueEscape:
        if (c != '\n') Protect(c);
        state_ = State::kValue;
        break;
      case State::kSingleQuoted:
        if (c == '\'') {
          state_ = State::kBeforeValue;
        } else {
          Protect(c);
        }
        break;
      case State::kDoubleQuoted:
        if (c == '"') {
          state_ = State::kBeforeValue;
        } else if (c == '\\') {
          state_ = State::kDoubleQuotedEscape;
        } else {
          Protect(c);
        }
        break;
      case State::kDoubleQuotedEscape:
        if (std::strchr("\"\\`$", c) == nullptr && c != '\n') Protect('\\');
        if (c != '\n') Protect(c);
        state_ = State::kDoubleQuoted;
        break;
      case State::kComment:
        if (c == '\\') state_ = State::kCommentEscape;
        if (c == '\n') state_ = State::kBeforeKey;
        break;
      case State::kCommentEscape:
        state_ = State::kComment;
        break;
    }
  }

  State state_ = State::kBeforeKey;
  std::string key_;
  std::string value_;
  size_t keep_ = 0;  // this much of the value was quoted or escaped
  std::vector<Variable> variables_;
};

}  // namespace

std::vector<Variable> ParseEnvironmentFile(std::string_view text) {
  return EnvironmentFileParser().Parse(text);
}

std::string FormatEnvironmentFile(const std::vector<Variable>& variables) {
  std::string text;
  for (const Variable& variable : variables) {
    absl::StrAppend(&text, variable.key, "=\"");
    for (const char c : variable.value) {
      if (c == '"' || c == '\\' || c == '`' || c == '$') text.push_back('\\');
      text.push_back(c);
    }
    text += "\"\n";
  }
  return text;
}

}  // namespace k3saga::node
