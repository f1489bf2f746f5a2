#include "agent/node/k3s_installer.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <map>

#include "common/host/files.h"
#include "common/host/process.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::node {
namespace {

absl::Status CannotExpress(const Installation& node, std::string_view detail) {
  return ReasonError(MakeReason(v1::CONFIGURATION_WOULD_CHANGE, node.unit, detail,
                                "use `installer: none`: the binary is swapped and the unit stays as it is"));
}

// The installer writes whatever variables of these kinds it finds in its environment.
bool CarriedByInstaller(std::string_view key) {
  if (absl::StartsWith(std::string(key), "K3S_") || absl::StartsWith(std::string(key), "CONTAINERD_"))
    return true;
  for (const char* proxy : {"NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY"}) {
    if (absl::EqualsIgnoreCase(std::string(key), proxy)) return true;
  }
  return false;
}

// INSTALL_K3S_NAME that makes the installer choose this unit's name; kCannotExpress when there is none.
absl::StatusOr<std::string> InstallName(const Installation& node) {
  const std::string stem = node.unit.substr(0, node.unit.rfind('.'));
  if (stem == (node.command == "server" ? "k3s" : "k3s-agent")) return std::string();
  if (absl::StartsWith(stem, "k3s-") && stem.size() > 4) return stem.substr(4);
  return CannotExpress(
      node, absl::StrCat("an installer never names a unit for `k3s ", node.command, "` ", node.unit));
}

bool LinksToK3s(const std::string& bin) {
  constexpr const char* kNames[] = {"kubectl", "crictl", "ctr"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [&](const char* name) { return Exists(JoinPath(bin, name)); });
}

// What systemd would read differently between quotes: backslashes, control characters, and blanks that the
// installer's own word splitting would merge.
std::string EscapeForUnit(std::string_view word) {
  std::string text;
  for (size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      text += "\\\\";
    } else if (byte < 0x20 || byte == 0x7F || (c == ' ' && i > 0 && word[i - 1] == ' ')) {
      constexpr char kHex[] = "0123456789abcdef";
      text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      text.push_back(c);
    }
  }
  return text;
}

// The installer evaluates INSTALL_K3S_EXEC after it put a backslash before most punctuation, but not before
// quotes and blanks: those are for us to quote, and nothing else may stand inside of quotes.
std::string QuoteForEval(std::string_view text) {
  if (text.empty()) return "''";
  std::string quoted;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\'') {
      quoted += "\"'\"";
    } else if (c == ' ' || c == '"' || (c == '~' && i == 0)) {
      quoted += {'\'', c, '\''};
    } else {
      quoted.push_back(c);
    }
  }
  return quoted;
}

}  // namespace

std::string QuoteForInstaller(std::string_view word) { return QuoteForEval(EscapeForUnit(word)); }

absl::StatusOr<InstallerCall> PlanInstaller(const Installation& node, std::string_view script) {
  if (!node.found()) return CannotExpress(node, "no unit runs k3s here");
  if (!node.plain_exec) {
    return CannotExpress(node, absl::StrCat("ExecStart in ", node.unit_file, " does not run `k3s ",
                                            node.command, "` directly"));
  }
  if (BaseName(node.binary) != "k3s") {
    return CannotExpress(node,
                         absl::StrCat("the unit runs ", node.binary, ", an installer writes only .../k3s"));
  }
  K3SAGA_ASSIGN_OR_RETURN(const std::string name, InstallName(node));
  const std::string bin = DirName(node.binary);

  InstallerCall call;
  call.argv = {"/bin/sh", std::string(script)};
  call.environment = PlainEnvironment();
  auto pass = [&](std::string_view key, std::string_view value) {
    call.environment.push_back(absl::StrCat(std::string(key), "=", std::string(value)));
  };
  pass("HOME", "/root");
  pass("INSTALL_K3S_SKIP_DOWNLOAD", "true");
  pass("INSTALL_K3S_SKIP_SELINUX_RPM", "true");
  pass("INSTALL_K3S_SKIP_START", "true");
  if (!node.enabled) pass("INSTALL_K3S_SKIP_ENABLE", "true");
  pass("INSTALL_K3S_BIN_DIR", bin);
  pass("INSTALL_K3S_SYSTEMD_DIR", DirName(node.unit_file));
  if (!name.empty()) pass("INSTALL_K3S_NAME", name);
  if (!node.service_type.empty()) pass("INSTALL_K3S_TYPE", node.service_type);
  if (!LinksToK3s(bin)) pass("INSTALL_K3S_SYMLINK", "skip");

  // All words in the environment, none in argv: a flag may be a token, and argv is everybody's to read.
  std::vector<std::string> words = {node.command};
  for (const std::string& word : node.raw_arguments) words.push_back(QuoteForInstaller(word));
  call.flags_variable = "INSTALL_K3S_EXEC";
  pass(call.flags_variable, absl::StrJoin(words, " "));

  // Environment= of the main file first: the environment file was read after it and wins.
  std::map<std::string, std::string> variables;
  for (const Variable& variable : node.unit_variables) variables[variable.key] = variable.value;
  for (const Variable& variable : node.installer_variables) variables[variable.key] = variable.value;
  for (const auto& [key, value] : variables) {
    call.secrets.Add(SecretIn(key, value));
    if (CarriedByInstaller(key)) pass(key, value);
  }
  for (const Flag& flag : ParseFlags(node.raw_arguments, "")) {
    call.secrets.Add(SecretIn(flag.name, flag.value));
  }
  return call;
}

absl::Status MendEnvironment(const ConfigurationMeaning& before, const std::string& kept_environment_file,
                             const Installation& after) {
  std::map<std::string, std::string> others;  // what the process gets from elsewhere
  for (const auto& [key, variable] : after.environment) {
    if (variable.source != after.environment_file) others[key] = variable.value;
  }
  auto meant = [&](const std::vector<Variable>& own) {
    std::map<std::string, std::string> all = others;
    if (after.environment_file_read) {
      for (const Variable& variable : own) all[variable.key] = variable.value;
    }
    return all == before.environment;
  };
  // The old file itself, comments and all, wherever it still says the same.
  if (auto kept = ReadFile(kept_environment_file); kept.ok() && meant(ParseEnvironmentFile(*kept))) {
    auto now = ReadFile(after.environment_file);
    return now.ok() && *now == *kept ? absl::OkStatus()
                                     : CopyFileDurably(kept_environment_file, after.environment_file);
  }
  if (meant(after.installer_variables)) return absl::OkStatus();
  std::vector<Variable> lost;
  for (const auto& [key, value] : before.environment) {
    auto elsewhere = others.find(key);
    if (elsewhere == others.end() || elsewhere->second != value) lost.push_back({key, value});
  }
  return WriteFileDurably(after.environment_file, FormatEnvironmentFile(lost),
                          {.mode = 0600, .keep_mode_and_owner = true});
}

}  // namespace k3saga::node
