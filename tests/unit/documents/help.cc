#include "tests/unit/documents/help.h"

#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <regex>

#include "common/host/process.h"
#include "common/status_macros.h"

namespace k3saga::documents {
namespace {

absl::Status Walk(const std::string& program, const std::vector<std::string>& path,
                  std::map<std::string, Help>* all) {
  Command command{.argv = {program}, .environment = PlainEnvironment()};
  command.argv.insert(command.argv.end(), path.begin(), path.end());
  command.argv.emplace_back("--help");
  K3SAGA_ASSIGN_OR_RETURN(const std::string text, RunForOutput(command));
  const Help help = ParseHelp(text);
  (*all)[absl::StrJoin(path, " ")] = help;
  for (const std::string& name : help.commands) {
    std::vector<std::string> below = path;
    below.push_back(name);
    K3SAGA_RETURN_IF_ERROR(Walk(program, below, all));
  }
  return absl::OkStatus();
}

}  // namespace

Help ParseHelp(const std::string& text) {
  // Further lines of a description are indented deeper, and so match none of these.
  static const std::regex kOption("^  (?:-[A-Za-z],)?(--[a-z][a-z-]*).*");
  static const std::regex kPositional("^  ([A-Z][A-Z=]*) .*");
  static const std::regex kCommand("^  ([a-z][a-z-]*).*");
  Help help;
  std::string section;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    std::smatch match;
    if (!line.empty() && line[0] != ' ') {
      section = line;
    } else if (section == "Options:" && std::regex_match(line, match, kOption)) {
      if (match[1] != "--help") help.options.push_back(match[1]);
    } else if (section == "Positionals:" && std::regex_match(line, match, kPositional)) {
      help.positionals.push_back(match[1]);
    } else if (section == "Subcommands:" && std::regex_match(line, match, kCommand)) {
      help.commands.push_back(match[1]);
    }
  }
  return help;
}

absl::StatusOr<std::map<std::string, Help>> HelpOf(const std::string& program) {
  std::map<std::string, Help> all;
  K3SAGA_RETURN_IF_ERROR(Walk(program, {}, &all));
  return all;
}

}  // namespace k3saga::documents
