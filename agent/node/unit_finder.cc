#include "agent/node/unit_finder.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::node {
namespace {

constexpr std::string_view kSuffix = ".service";

// A unit is masked by a link to /dev/null, or by an empty file.
bool IsMasked(const std::string& path) {
  char target[64];
  const ssize_t size = readlink(path.c_str(), target, sizeof(target));
  if (size > 0 && std::string_view(target, static_cast<size_t>(size)) == "/dev/null") return true;
  auto bytes = FileSize(path);
  return bytes.ok() && *bytes == 0;
}

// "k3s", "k3s-arm64", "/opt/k3s/k3s": what a k3s executable is called.
bool IsK3sProgram(std::string_view path) {
  const std::string name = BaseName(path);
  return name == "k3s" || name == "k3s-arm64" || name == "k3s-armhf" || name == "k3s-s390x";
}

std::optional<K3sCommand> FindInWords(const std::vector<std::string>& words) {
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (!IsK3sProgram(words[i])) continue;
    // Flags may stand before the command: "k3s --debug server".
    for (size_t j = i + 1; j < words.size(); ++j) {
      if (words[j] == "server" || words[j] == "agent") {
        K3sCommand command{
            words[i],
            words[j],
            {words.begin() + static_cast<ptrdiff_t>(i) + 1, words.begin() + static_cast<ptrdiff_t>(j)},
            i != 0};
        command.arguments.insert(command.arguments.end(), words.begin() + static_cast<ptrdiff_t>(j) + 1,
                                 words.end());
        command.wrapped = command.wrapped || j != i + 1;
        return command;
      }
      if (!absl::StartsWith(words[j], "-")) break;
    }
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<UnitEntry>> ReadUnitFile(const std::string& path) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  return ParseUnitFile(text, path);
}

absl::StatusOr<std::optional<K3sUnit>> ReadK3sUnit(const HostPaths& paths, const std::string& name,
                                                   const std::string& file) {
  K3sUnit unit;
  unit.name = name;
  unit.file = file;
  K3SAGA_ASSIGN_OR_RETURN(std::vector<UnitEntry> entries, ReadUnitFile(file));
  unit.main.Append(entries);
  unit.full.Append(std::move(entries));
  unit.drop_ins = FindDropIns(paths, name);
  for (const std::string& drop_in : unit.drop_ins) {
    K3SAGA_ASSIGN_OR_RETURN(std::vector<UnitEntry> more, ReadUnitFile(drop_in));
    unit.full.Append(std::move(more));
  }
  const std::vector<UnitEntry> starts = unit.full.All("Service", "ExecStart");
  if (starts.empty()) return std::optional<K3sUnit>();
  // Only oneshot units may have several, and k3s is none.
  K3SAGA_ASSIGN_OR_RETURN(unit.exec, ParseExec(starts.back().value));
  std::optional<K3sCommand> command = FindK3sCommand(unit.exec);
  if (!command) return std::optional<K3sUnit>();
  unit.exec.path = command->binary;
  unit.command = command->command;
  unit.arguments = std::move(command->arguments);
  unit.wrapped = command->wrapped;
  return std::optional<K3sUnit>(std::move(unit));
}

}  // namespace

std::optional<K3sCommand> FindK3sCommand(const ExecCommand& exec) {
  std::vector<std::string> words = {exec.path};
  words.insert(words.end(), exec.words.begin(), exec.words.end());
  if (auto direct = FindInWords(words)) return direct;
  // A shell's script is one word.
  for (const std::string& word : exec.words) {
    if (!absl::StrContains(word, "k3s")) continue;
    auto inner = SplitUnitWords(word);
    if (!inner.ok()) continue;
    if (auto command = FindInWords(*inner)) {
      command->wrapped = true;
      return command;
    }
  }
  return std::nullopt;
}

std::vector<std::string> FindDropIns(const HostPaths& paths, std::string_view unit) {
  std::vector<std::string> folders = {std::string(unit) + ".d"};
  // "k3s-agent.service" is also configured by "k3s-.service.d".
  const std::string stem(unit.substr(0, unit.size() - std::min(kSuffix.size(), unit.size())));
  for (size_t dash = stem.rfind('-'); dash != std::string::npos && dash > 0;
       dash = stem.rfind('-', dash - 1)) {
    folders.push_back(absl::StrCat(stem.substr(0, dash + 1), ".service.d"));
  }
  folders.emplace_back("service.d");
  std::map<std::string, std::string> by_name;  // the first one found is the strongest
  for (const std::string& folder : folders) {
    for (const std::string& directory : paths.UnitDirectories()) {
      auto names = ListDirectory(JoinPath(directory, folder));
      if (!names.ok()) continue;
      for (const std::string& name : *names) {
        if (absl::EndsWith(name, ".conf")) by_name.emplace(name, JoinPath(JoinPath(directory, folder), name));
      }
    }
  }
  std::vector<std::string> drop_ins;
  for (const auto& [name, path] : by_name) {
    if (!IsMasked(path)) drop_ins.push_back(path);
  }
  return drop_ins;
}

std::vector<K3sUnit> FindK3sUnits(const HostPaths& paths, std::vector<std::string>* problems) {
  std::vector<K3sUnit> units;
  std::set<std::string> seen;  // a stronger directory hides the weaker ones' file of that name
  for (const std::string& directory : paths.UnitDirectories()) {
    auto names = ListDirectory(directory);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      const std::string file = JoinPath(directory, name);
      if (!absl::EndsWith(name, std::string(kSuffix)) || IsDirectory(file) || !seen.insert(name).second)
        continue;
      if (IsMasked(file)) continue;
      auto unit = ReadK3sUnit(paths, name, file);
      if (!unit.ok()) {
        if (absl::StartsWith(name, "k3s")) problems->push_back(std::string(unit.status().message()));
      } else if (*unit) {
        units.push_back(std::move(**unit));
      }
    }
  }
  return units;
}

}  // namespace k3saga::node
