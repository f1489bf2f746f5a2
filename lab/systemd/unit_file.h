#pragma once

#include <absl/status/statusor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::lab {

// The part of a service unit that the stand-in systemd understands. What it does not know it ignores, as
// systemd does (with a warning in its log).
struct UnitFile {
  enum class Type { kSimple, kExec, kNotify, kOneshot };
  enum class Restart { kNo, kOnFailure, kAlways };

  Type type = Type::kSimple;
  std::vector<std::string> exec_start;
  std::vector<std::string> environment;        // K=V
  std::vector<std::string> environment_files;  // "-PATH": may be absent
  Restart restart = Restart::kNo;
  int64_t restart_ms = 100;
  int64_t start_timeout_ms = 90'000;  // 0: none, a start may block for ever
  int64_t stop_timeout_ms = 90'000;
  int64_t runtime_max_ms = 0;         // 0: none
  bool kill_group = true;             // KillMode=control-group; false: the main process alone
  std::vector<int> success_statuses;  // besides 0
  std::string wanted_by;

  std::string fragment_path;
  std::vector<std::string> drop_in_paths;
};

// Words as systemd splits them: double and single quotes, backslash escapes.
absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view text);

// "5s", "1min 30s", "500ms", "20", "infinity" (0 here), in milliseconds.
absl::StatusOr<int64_t> ParseDuration(std::string_view text);

// One assignment of the [Service] or [Install] section. An empty value resets a list.
absl::Status ApplySetting(std::string_view key, std::string_view value, std::string_view unit_name,
                          UnitFile& unit);

// Adds the settings of one file's text (the fragment, then each drop-in) to `unit`: comments, continuation
// lines, %n, %N and %%.
absl::Status ParseUnitText(std::string_view text, std::string_view unit_name, UnitFile& unit);

// An EnvironmentFile's assignments: KEY=VALUE a line, quotes around values.
std::map<std::string, std::string> ParseEnvironmentText(std::string_view text);

// Reads NAME and NAME.d/*.conf from `folders` (the first that has it wins). Nullopt when there is none.
std::optional<absl::StatusOr<UnitFile>> LoadUnit(const std::vector<std::filesystem::path>& folders,
                                                 const std::string& name);

}  // namespace k3saga::lab
