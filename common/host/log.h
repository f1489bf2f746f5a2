#pragma once

#include <absl/status/status.h>

#include <string_view>

namespace k3saga {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// "debug", "info", "warning", "error".
absl::Status ParseLogLevel(std::string_view text, LogLevel* level);

// Once, early in main. Lines go to stderr: under systemd (JOURNAL_STREAM) with journald's own priority prefix
// and no time, because the journal has both; otherwise with the time in front. Before it, only warnings and
// errors are shown.
void InitLog(LogLevel level);

// One line each; never a secret (common/host/secrets.h). Thread-safe.
void LogDebug(std::string_view line);
void LogInfo(std::string_view line);
void LogWarning(std::string_view line);
void LogError(std::string_view line);

}  // namespace k3saga
