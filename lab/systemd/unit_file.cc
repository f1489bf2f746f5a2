#include "lab/systemd/unit_file.h"

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_replace.h>

#include <algorithm>

#include "common/status_macros.h"
#include "lab/base/files.h"

namespace k3saga::lab {
namespace {

std::string Strip(std::string_view text) {
  return std::string(absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size())));
}

std::string ExpandSpecifiers(std::string text, std::string_view unit_name) {
  const std::string name(unit_name);
  const std::string stem = name.substr(0, name.rfind('.'));
  return absl::StrReplaceAll(text, {{"%%", "%"}, {"%n", name}, {"%N", stem}});
}

// Joins lines that end in a backslash; a comment in between does not end the continuation.
std::vector<std::string> LogicalLines(std::string_view text) {
  std::vector<std::string> lines;
  std::string pending;
  for (absl::string_view raw : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    std::string line = Strip(std::string_view(raw.data(), raw.size()));
    const bool comment = !line.empty() && (line[0] == '#' || line[0] == ';');
    if (comment) continue;
    const bool continued = !line.empty() && line.back() == '\\';
    if (continued) line.back() = ' ';
    pending += pending.empty() ? line : " " + line;
    if (continued) continue;
    if (!pending.empty()) lines.push_back(std::move(pending));
    pending.clear();
  }
  if (!pending.empty()) lines.push_back(std::move(pending));
  return lines;
}

struct Unit {
  std::string_view name;
  int64_t millis;
};
constexpr Unit kUnits[] = {{"ms", 1},         {"msec", 1},     {"", 1000},    {"s", 1000},     {"sec", 1000},
                           {"seconds", 1000}, {"min", 60'000}, {"m", 60'000}, {"h", 3'600'000}};

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size() && quote != '\'') {
      const char next = text[++i];
      word += next == 'n' ? '\n' : next == 't' ? '\t' : next == 's' ? ' ' : next;
      in_word = true;
    } else if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != '\0') return absl::InvalidArgumentError("a quote is not closed");
  if (in_word) words.push_back(std::move(word));
  return words;
}

absl::StatusOr<int64_t> ParseDuration(std::string_view text) {
  const std::string stripped = Strip(text);
  if (stripped == "infinity") return 0;
  int64_t total = 0;
  size_t at = 0;
  while (at < stripped.size()) {
    size_t end = stripped.find_first_not_of("0123456789.", at);
    if (end == std::string::npos) end = stripped.size();
    double number = 0;
    if (!absl::SimpleAtod(stripped.substr(at, end - at), &number)) {
      return absl::InvalidArgumentError(absl::StrCat("'", stripped, "' is no time span"));
    }
    size_t next = stripped.find_first_of("0123456789", end);
    if (next == std::string::npos) next = stripped.size();
    const std::string unit = Strip(std::string_view(stripped).substr(end, next - end));
    const auto* known = std::find_if(std::begin(kUnits), std::end(kUnits),
                                     [&](const Unit& candidate) { return candidate.name == unit; });
    if (known == std::end(kUnits)) {
      return absl::InvalidArgumentError(absl::StrCat("'", unit, "' is no unit of time"));
    }
    total += static_cast<int64_t>(number * static_cast<double>(known->millis));
    at = next;
  }
  return total;
}

absl::Status ApplySetting(std::string_view key, std::string_view raw, std::string_view unit_name,
                          UnitFile& unit) {
  const std::string value = ExpandSpecifiers(Strip(raw), unit_name);
  const auto add_words = [&](std::vector<std::string>& list) -> absl::Status {
    if (value.empty()) list.clear();
    K3SAGA_ASSIGN_OR_RETURN(std::vector<std::string> words, SplitWords(value));
    list.insert(list.end(), words.begin(), words.end());
    return absl::OkStatus();
  };
  const auto set_duration = [&](int64_t& field) -> absl::Status {
    K3SAGA_ASSIGN_OR_RETURN(field, ParseDuration(value));
    return absl::OkStatus();
  };
  if (key == "ExecStart") {
    K3SAGA_ASSIGN_OR_RETURN(unit.exec_start, SplitWords(value));
    return absl::OkStatus();
  }
  if (key == "Environment") return add_words(unit.environment);
  if (key == "EnvironmentFile") return add_words(unit.environment_files);
  if (key == "RestartSec") return set_duration(unit.restart_ms);
  if (key == "TimeoutStartSec") return set_duration(unit.start_timeout_ms);
  if (key == "TimeoutStopSec") return set_duration(unit.stop_timeout_ms);
  if (key == "RuntimeMaxSec") return set_duration(unit.runtime_max_ms);
  if (key == "KillMode") {
    unit.kill_group = value != "process" && value != "none";
  } else if (key == "WantedBy") {
    unit.wanted_by = value;
  } else if (key == "Type") {
    unit.type = value == "notify"    ? UnitFile::Type::kNotify
                : value == "exec"    ? UnitFile::Type::kExec
                : value == "oneshot" ? UnitFile::Type::kOneshot
                                     : UnitFile::Type::kSimple;
  } else if (key == "Restart") {
    unit.restart = value == "always" ? UnitFile::Restart::kAlways
                   : value == "no"   ? UnitFile::Restart::kNo
                                     : UnitFile::Restart::kOnFailure;
  } else if (key == "SuccessExitStatus") {
    for (absl::string_view word : absl::StrSplit(value, ' ', absl::SkipEmpty())) {
      int status = 0;
      if (absl::SimpleAtoi(word, &status)) unit.success_statuses.push_back(status);
    }
  }
  return absl::OkStatus();
}

absl::Status ParseUnitText(std::string_view text, std::string_view unit_name, UnitFile& unit) {
  std::string section;
  for (const std::string& line : LogicalLines(text)) {
    if (line.front() == '[') {
      section = line;
      continue;
    }
    const size_t equals = line.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("'", line, "' is no assignment"));
    }
    if (section != "[Service]" && section != "[Install]") continue;
    K3SAGA_RETURN_IF_ERROR(
        ApplySetting(Strip(line.substr(0, equals)), line.substr(equals + 1), unit_name, unit));
  }
  return absl::OkStatus();
}

std::map<std::string, std::string> ParseEnvironmentText(std::string_view text) {
  std::map<std::string, std::string> variables;
  for (const std::string& line : LogicalLines(text)) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string value = Strip(line.substr(equals + 1));
    auto words = SplitWords(value);
    const bool quoted = !value.empty() && (value[0] == '"' || value[0] == '\'');
    variables[Strip(line.substr(0, equals))] =
        quoted && words.ok() && words->size() == 1 ? words->front() : value;
  }
  return variables;
}

std::optional<absl::StatusOr<UnitFile>> LoadUnit(const std::vector<std::filesystem::path>& folders,
                                                 const std::string& name) {
  UnitFile unit;
  const auto found = std::find_if(folders.begin(), folders.end(), [&](const std::filesystem::path& folder) {
    return std::filesystem::exists(folder / name);
  });
  if (found == folders.end()) return std::nullopt;
  unit.fragment_path = (*found / name).string();
  std::vector<std::string> files = {unit.fragment_path};
  for (const std::filesystem::path& folder : folders) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder / (name + ".d"), none)) {
      if (entry.path().extension() == ".conf") unit.drop_in_paths.push_back(entry.path().string());
    }
  }
  std::sort(unit.drop_in_paths.begin(), unit.drop_in_paths.end());
  files.insert(files.end(), unit.drop_in_paths.begin(), unit.drop_in_paths.end());
  for (const std::string& file : files) {
    auto text = ReadFile(file);
    absl::Status status = text.ok() ? ParseUnitText(*text, name, unit) : text.status();
    if (!status.ok())
      return absl::InvalidArgumentError(absl::StrCat(file, ": ", std::string(status.message())));
  }
  if (unit.exec_start.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(unit.fragment_path, ": no ExecStart"));
  }
  return unit;
}

}  // namespace k3saga::lab
