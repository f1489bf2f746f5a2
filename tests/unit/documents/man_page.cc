#include "tests/unit/documents/man_page.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>

namespace k3saga::documents {
namespace {

// A line without its macro (.B, .BR "..." ...), its quotes and its fonts. Arguments of macros that change
// fonts are joined without spaces by roff; that nothing here depends on.
std::string Plain(std::string line) {
  if (absl::StartsWith(line, ".")) {
    const size_t space = line.find(' ');
    line = space == std::string::npos ? "" : line.substr(space + 1);
  }
  line = absl::StrReplaceAll(
      line, {{"\"", ""}, {"\\fB", ""}, {"\\fI", ""}, {"\\fR", ""}, {"\\-", "-"}, {"\\&", ""}});
  return absl::StrJoin(absl::StrSplit(line, ' ', absl::SkipEmpty()), " ");
}

}  // namespace

std::vector<Entry> ParseManPage(const std::string& roff) {
  std::vector<Entry> entries;
  std::string section;
  bool open = false;  // lines belong to the last entry
  bool tag_next = false;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(roff, '\n'))) {
    if (absl::StartsWith(line, ".SH ") || absl::StartsWith(line, ".SS ")) {
      if (line[2] == 'H') section = Plain(line);
      open = false;
    } else if (line == ".TP") {
      tag_next = true;
    } else if (tag_next) {
      entries.push_back({.section = section, .tag = Plain(line), .text = Plain(line)});
      tag_next = false;
      open = true;
    } else if (open) {
      absl::StrAppend(&entries.back().text, " ", Plain(line));
    }
  }
  return entries;
}

}  // namespace k3saga::documents
