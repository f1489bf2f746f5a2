#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::node {

// systemd's files as systemd reads them (systemd.syntax(7), systemd.exec(5), systemd.service(5)). Pure.

// One "Key=value" of one file; continuation lines joined.
struct UnitEntry {
  std::string section;
  std::string key;
  std::string value;
  std::string file;
  int line = 0;
};

// Entries in the order they stand, with the empty ones that reset a list. Lines that systemd ignores are
// ignored; kInvalidArgument with file and line for what it would refuse.
absl::StatusOr<std::vector<UnitEntry>> ParseUnitFile(std::string_view text, std::string_view file);

// A unit: its main file and its drop-ins in the order in which they apply.
class Unit {
 public:
  void Append(std::vector<UnitEntry> entries);
  const std::vector<UnitEntry>& entries() const { return entries_; }

  // The last value, as for Type=; nullptr when it is not set (or was reset).
  const UnitEntry* Last(std::string_view section, std::string_view key) const;
  // All values since the last reset ("Key="), as for ExecStart= and Environment=.
  std::vector<UnitEntry> All(std::string_view section, std::string_view key) const;

 private:
  std::vector<UnitEntry> entries_;
};

// A value split into words by systemd's rules: blanks separate, single and double quotes group, C escapes are
// undone in and outside of both. Specifiers and variables are still in them.
absl::StatusOr<std::vector<std::string>> SplitUnitWords(std::string_view value);

// One word that systemd reads back as exactly this one, specifiers and all. In ExecStart= a "$" is to be
// doubled besides.
std::string QuoteUnitWord(std::string_view word);

// Specifiers of this unit: "%%" and those in `values` ('n' -> "k3s.service"); kInvalidArgument for any other.
using Specifiers = std::map<char, std::string>;
absl::StatusOr<std::string> ExpandSpecifiers(std::string_view word, const Specifiers& values);

// "$FOO" as a word of its own becomes as many words as its value has, "${FOO}" is replaced inside a word,
// "$$" is "$".
std::vector<std::string> ExpandVariables(const std::vector<std::string>& words,
                                         const std::map<std::string, std::string>& environment);

struct Variable {
  std::string key;
  std::string value;
  bool operator==(const Variable&) const = default;
};

// An EnvironmentFile= (not a shell script): quotes, escapes, comments and continuation as systemd takes them.
std::vector<Variable> ParseEnvironmentFile(std::string_view text);
// Text that ParseEnvironmentFile reads back as exactly these.
std::string FormatEnvironmentFile(const std::vector<Variable>& variables);

// ExecStart= taken apart. `words` are before specifiers and variables: what an installer has to write again.
struct ExecCommand {
  std::string prefix;  // of "-@:+!"
  std::string path;
  std::vector<std::string> words;  // without the path
};
absl::StatusOr<ExecCommand> ParseExec(std::string_view value);

}  // namespace k3saga::node
