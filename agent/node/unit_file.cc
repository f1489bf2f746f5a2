#include "agent/node/unit_file.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <cstdint>
#include <cstring>

#include "common/status_macros.h"

namespace k3saga::node {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool IsNameCharacter(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out->push_back(static_cast<char>(0xC0 | (code >> 6)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | (code >> 12)));
    out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else {
    out->push_back(static_cast<char>(0xF0 | (code >> 18)));
    out->push_back(static_cast<char>(0x80 | ((code >> 12) & 0x3F)));
    out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  }
}

// The digits of \xNN, \NNN, \uNNNN, \UNNNNNNNN; at most 0x10FFFF, never zero. Returns how many were read, 0
// if wrong.
size_t ReadCode(std::string_view text, size_t digits, uint32_t base, uint32_t* code) {
  if (text.size() < digits) return 0;
  *code = 0;
  for (size_t i = 0; i < digits; ++i) {
    const char c = text[i];
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return 0;
    const uint32_t digit = static_cast<uint32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    if (digit >= base) return 0;
    *code = *code * base + digit;
  }
  return *code == 0 || *code > 0x10FFFF ? 0 : digits;
}

// Undoes the C escape that starts after a backslash; returns the characters read, 0 for one that systemd does
// not know.
size_t Unescape(std::string_view text, std::string* out) {
  if (text.empty()) return 0;
  constexpr std::string_view kNames = "abfnrtv\\\"'s";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\\"' ";
  const size_t named = kNames.find(text[0]);
  if (named != std::string_view::npos) {
    out->push_back(kMeanings[named]);
    return 1;
  }
  uint32_t code = 0;
  if (text[0] == 'x') {
    const size_t read = ReadCode(text.substr(1), 2, 16, &code);
    if (read != 0) out->push_back(static_cast<char>(code));
    return read == 0 ? 0 : read + 1;
  }
  if (text[0] == 'u' || text[0] == 'U') {
    const size_t read = ReadCode(text.substr(1), text[0] == 'u' ? 4 : 8, 16, &code);
    if (read != 0) AppendUtf8(code, out);
    return read == 0 ? 0 : read + 1;
  }
  const size_t read = ReadCode(text, 3, 8, &code);
  if (read == 0 || code > 255) return 0;
  out->push_back(static_cast<char>(code));
  return read;
}

// Physical lines joined to logical ones; comments inside of a continued line are dropped, as systemd does.
struct LogicalLine {
  std::string text;
  int number = 0;
};

std::vector<LogicalLine> JoinLines(std::string_view text) {
  std::vector<LogicalLine> lines;
  bool continued = false;
  int number = 0;
  while (!text.empty()) {
    const size_t newline = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(std::min(newline + 1, text.size()));
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const std::string_view trimmed = Trim(line);
    const bool comment = !trimmed.empty() && (trimmed.front() == '#' || trimmed.front() == ';');
    if (comment) continue;  // also in the middle of a continued line
    size_t backslashes = 0;
    while (backslashes < line.size() && line[line.size() - 1 - backslashes] == '\\') ++backslashes;
    const bool goes_on = backslashes % 2 == 1;
    if (goes_on) line.remove_suffix(1);
    if (continued) {
      absl::StrAppend(&lines.back().text, " ", std::string(line));
    } else {
      lines.push_back({std::string(line), number});
    }
    continued = goes_on;
  }
  return lines;
}

}  // namespace

absl::StatusOr<std::vector<UnitEntry>> ParseUnitFile(std::string_view text, std::string_view file) {
  std::vector<UnitEntry> entries;
  std::string section;
  for (const LogicalLine& logical : JoinLines(text)) {
    const std::string_view line = Trim(logical.text);
    if (line.empty()) continue;
    if (line.front() == '[') {
      if (line.back() != ']') {
        return absl::InvalidArgumentError(
            absl::StrCat(std::string(file), ":", logical.number, ": a section header without its ']'"));
      }
      section = std::string(line.substr(1, line.size() - 2));
      continue;
    }
    const size_t equals = line.find('=');
    // Not an assignment, or outside of any section: systemd warns and goes on.
    if (equals == std::string_view::npos || section.empty()) continue;
    entries.push_back({section, std::string(Trim(line.substr(0, equals))),
                       std::string(Trim(line.substr(equals + 1))), std::string(file), logical.number});
  }
  return entries;
}

void Unit::Append(std::vector<UnitEntry> entries) {
  for (UnitEntry& entry : entries) entries_.push_back(std::move(entry));
}

const UnitEntry* Unit::Last(std::string_view section, std::string_view key) const {
  const UnitEntry* last = nullptr;
  for (const UnitEntry& entry : entries_) {
    if (entry.section == section && entry.key == key) last = entry.value.empty() ? nullptr : &entry;
  }
  return last;
}

std::vector<UnitEntry> Unit::All(std::string_view section, std::string_view key) const {
  std::vector<UnitEntry> all;
  for (const UnitEntry& entry : entries_) {
    if (entry.section != section || entry.key != key) continue;
    if (entry.value.empty()) {
      all.clear();
    } else {
      all.push_back(entry);
    }
  }
  return all;
}

absl::StatusOr<std::vector<std::string>> SplitUnitWords(std::string_view value) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (c == '\\') {
      in_word = true;
      const size_t read = Unescape(value.substr(i + 1), &word);
      if (read == 0) {
        return absl::InvalidArgumentError(absl::StrCat("'\\", std::string(value.substr(i + 1, 1)),
                                                       "' is no escape sequence that systemd knows"));
      }
      i += read;
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word.push_back(c);
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (IsBlank(c)) {
      if (in_word) words.push_back(std::exchange(word, ""));
      in_word = false;
    } else {
      word.push_back(c);
      in_word = true;
    }
  }
  if (quote != 0) return absl::InvalidArgumentError("a quote is not closed");
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::string QuoteUnitWord(std::string_view word) {
  return absl::StrCat("\"",
                      absl::StrReplaceAll(absl::string_view(word.data(), word.size()),
                                          {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}, {"%", "%%"}}),
                      "\"");
}

absl::StatusOr<std::string> ExpandSpecifiers(std::string_view word, const Specifiers& values) {
  std::string expanded;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%' || i + 1 == word.size()) {
      expanded.push_back(word[i]);
      continue;
    }
    const char specifier = word[++i];
    if (specifier == '%') {
      expanded.push_back('%');
    } else if (auto value = values.find(specifier); value != values.end()) {
      expanded += value->second;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("specifier '%", std::string(1, specifier), "' is not understood"));
    }
  }
  return expanded;
}

std::vector<std::string> ExpandVariables(const std::vector<std::string>& words,
                                         const std::map<std::string, std::string>& environment) {
  auto value_of = [&](const std::string& name) {
    auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  std::vector<std::string> expanded;
  for (const std::string& word : words) {
    // "$FOO" alone: split like a shell would, so that it may be several words or none.
    if (word.size() > 1 && word[0] == '$' && word[1] != '$' && word[1] != '{' &&
        std::all_of(word.begin() + 1, word.end(), IsNameCharacter)) {
      auto several = SplitUnitWords(value_of(word.substr(1)));
      if (several.ok()) expanded.insert(expanded.end(), several->begin(), several->end());
      continue;
    }
    std::string text;
    for (size_t i = 0; i < word.size(); ++i) {
      if (word[i] != '$' || i + 1 == word.size()) {
        text.push_back(word[i]);
      } else if (word[i + 1] == '$') {
        text.push_back('$');
        ++i;
      } else if (word[i + 1] == '{' && word.find('}', i) != std::string::npos) {
        const size_t end = word.find('}', i);
        text += value_of(word.substr(i + 2, end - i - 2));
        i = end;
      } else {
        text.push_back('$');
      }
    }
    expanded.push_back(std::move(text));
  }
  return expanded;
}

absl::StatusOr<ExecCommand> ParseExec(std::string_view value) {
  ExecCommand command;
  while (!value.empty() && std::strchr("-@:+!", value.front()) != nullptr) {
    command.prefix.push_back(value.front());
    value.remove_prefix(1);
  }
  K3SAGA_ASSIGN_OR_RETURN(command.words, SplitUnitWords(value));
  if (command.words.empty()) return absl::InvalidArgumentError("no command");
  command.path = command.words.front();
  command.words.erase(command.words.begin());
  return command;
}

}  // namespace k3saga::node
