#include "coordinator/cli/console.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace k3saga::cli {
namespace {

constexpr size_t kUnknownWidth = 80;
constexpr size_t kUnknownHeight = 24;

std::string_view Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = absl::AsciiStrToLower(std::string(Variable(name)));
    if (!value.empty()) return absl::StrContains(value, "utf-8") || absl::StrContains(value, "utf8");
  }
  return false;
}

// All of it, or as much as somebody reads: a closed pipe is no reason to fail.
void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    text.remove_prefix(static_cast<size_t>(put));
  }
}

}  // namespace

Console::Console()
    : in_terminal_(isatty(STDIN_FILENO) == 1),
      out_terminal_(isatty(STDOUT_FILENO) == 1 && Variable("TERM") != "dumb"),
      colour_(out_terminal_ && Variable("NO_COLOR").empty()),
      unicode_(LocaleIsUtf8()) {}

view::Style Console::PageStyle() const { return {0, 0, colour_, unicode_}; }

view::Style Console::LiveStyle() const {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {kUnknownWidth, kUnknownHeight, colour_, unicode_};
  }
  return {size.ws_col, size.ws_row, colour_, unicode_};
}

void Console::Out(std::string_view text) const { WriteAll(STDOUT_FILENO, text); }

void Console::Out(const std::vector<view::Line>& lines) const { Out(view::PaintAll(lines, PageStyle())); }

void Console::Error(std::string_view text) const {
  std::string lines;
  for (const auto line : absl::StrSplit(std::string(text), '\n'))
    absl::StrAppend(&lines, "k3saga: ", line, "\n");
  Note(lines);
}

void Console::Note(std::string_view text) const { WriteAll(STDERR_FILENO, text); }

}  // namespace k3saga::cli
