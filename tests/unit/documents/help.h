#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <vector>

// What a program's own --help says, command by command: what its documents are compared with.
namespace k3saga::documents {

struct Help {
  std::vector<std::string> options;      // "--to"; long names, without --help
  std::vector<std::string> positionals;  // "NODE"
  std::vector<std::string> commands;     // below this one
};

Help ParseHelp(const std::string& text);

// By command, as it is typed: "" is the program itself, "agents", "agents upgrade".
absl::StatusOr<std::map<std::string, Help>> HelpOf(const std::string& program);

}  // namespace k3saga::documents
