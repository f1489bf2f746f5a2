#include "agent/node/configuration.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <nlohmann/json.hpp>
#include <set>

#include "common/host/secrets.h"

namespace k3saga::node {
namespace {

// What the installers of all ages wrote into a unit. A difference between two of these is the installer's own
// progress; it is no decision of the user's. Type= is left out: it changes how systemd sees a start, and can
// be passed.
bool WrittenByInstallers(const std::string& directive, const std::string& value) {
  static const std::map<std::string, std::set<std::string>> kTemplates = {
      {"Unit/Description", {"Lightweight Kubernetes"}},
      {"Unit/Documentation", {"https://k3s.io"}},
      {"Unit/Wants", {"network-online.target"}},
      {"Unit/After", {"network-online.target"}},
      {"Install/WantedBy", {"multi-user.target"}},
      {"Service/KillMode", {"process"}},
      {"Service/Delegate", {"yes"}},
      {"Service/User", {"root"}},
      {"Service/LimitNOFILE", {"infinity", "1048576"}},
      {"Service/LimitNPROC", {"infinity"}},
      {"Service/LimitCORE", {"infinity"}},
      {"Service/TasksMax", {"infinity"}},
      {"Service/TimeoutStartSec", {"0"}},
      {"Service/Restart", {"always"}},
      {"Service/RestartSec", {"5s"}},
      {"Service/ExecStartPre",
       {"-/sbin/modprobe br_netfilter", "-/sbin/modprobe overlay",
        "/bin/sh -xc '! /usr/bin/systemctl is-enabled --quiet nm-cloud-setup.service'",
        "/bin/sh -xc '! /usr/bin/systemctl is-enabled --quiet nm-cloud-setup.service 2>/dev/null'"}},
  };
  auto known = kTemplates.find(directive);
  return known != kTemplates.end() && known->second.contains(value);
}

std::vector<std::string> UserValues(const std::map<std::string, std::vector<std::string>>& directives,
                                    const std::string& directive) {
  std::vector<std::string> values;
  auto found = directives.find(directive);
  if (found == directives.end()) return values;
  for (const std::string& value : found->second) {
    if (!WrittenByInstallers(directive, value)) values.push_back(value);
  }
  return values;
}

std::string Shown(const std::vector<std::string>& values) {
  return values.empty() ? "(nothing)" : "\"" + absl::StrJoin(values, "\", \"") + "\"";
}

// Flags as one would read them, secrets masked: for a line that people see.
std::string ShownArguments(const std::vector<std::string>& arguments) {
  std::vector<std::string> shown;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const size_t equals = word.find('=');
    if (absl::StartsWith(word, "-") && equals != std::string::npos) {
      shown.push_back(word.substr(0, equals + 1) +
                      MaskValue(word.substr(0, equals), word.substr(equals + 1)));
    } else if (i > 0 && absl::StartsWith(arguments[i - 1], "-") && !absl::StartsWith(word, "-") &&
               arguments[i - 1].find('=') == std::string::npos) {
      shown.push_back(MaskValue(arguments[i - 1], word));
    } else {
      shown.push_back(MaskUrl(word));
    }
  }
  return absl::StrJoin(shown, " ");
}

void CompareEnvironment(const ConfigurationMeaning& before, const ConfigurationMeaning& after,
                        std::vector<std::string>* differences) {
  for (const auto& [key, value] : before.environment) {
    auto now = after.environment.find(key);
    if (now == after.environment.end()) {
      differences->push_back(absl::StrCat("variable ", key, " is gone (was ", MaskValue(key, value), ")"));
    } else if (now->second != value) {
      differences->push_back(absl::StrCat("variable ", key, " changed from ", MaskValue(key, value), " to ",
                                          MaskValue(key, now->second)));
    }
  }
  for (const auto& [key, value] : after.environment) {
    if (!before.environment.contains(key)) {
      differences->push_back(absl::StrCat("variable ", key, " is new (", MaskValue(key, value), ")"));
    }
  }
}

// Another release may read files that the one before did not, or the other way round.
void CompareFilesRead(const ConfigurationMeaning& before, const ConfigurationMeaning& after,
                      std::vector<std::string>* differences) {
  for (const auto& [path, flags] : before.config_unread) {
    if (!after.config_read.contains(path)) continue;
    differences->push_back(
        absl::StrCat(path, " was not read and is now: it changes ", absl::StrJoin(flags, ", ")));
  }
  for (const auto& [path, flags] : after.config_unread) {
    if (!before.config_read.contains(path)) continue;
    differences->push_back(
        absl::StrCat(path, " was read and is not any more: it set ", absl::StrJoin(flags, ", ")));
  }
}

}  // namespace

ConfigurationMeaning MeaningOf(const Installation& installation) {
  ConfigurationMeaning meaning;
  meaning.command = installation.command;
  meaning.binary = installation.binary;
  meaning.arguments = installation.arguments;
  for (const auto& [key, variable] : installation.environment) meaning.environment[key] = variable.value;
  std::set<std::pair<std::string, std::string>> seen;
  for (const UnitEntry& entry : installation.full_unit.entries()) {
    if (entry.key == "ExecStart" || entry.key == "Environment" || entry.key == "EnvironmentFile") continue;
    if (!seen.emplace(entry.section, entry.key).second) continue;
    std::vector<std::string> values;
    for (const UnitEntry& each : installation.full_unit.All(entry.section, entry.key))
      values.push_back(each.value);
    if (!values.empty()) meaning.directives[entry.section + "/" + entry.key] = std::move(values);
  }
  meaning.enabled = installation.enabled;
  const ConfigFiles& files = installation.binary_configuration;
  meaning.config_read.insert(files.read.begin(), files.read.end());
  for (const LaterFlag& later : files.later) meaning.config_unread[later.flag.source].insert(later.flag.name);
  return meaning;
}

std::vector<std::string> CompareMeaning(const ConfigurationMeaning& before,
                                        const ConfigurationMeaning& after) {
  std::vector<std::string> differences;
  if (before.command != after.command) {
    differences.push_back(absl::StrCat("command changed from ", before.command, " to ", after.command));
  }
  if (before.binary != after.binary) {
    differences.push_back(absl::StrCat("binary changed from ", before.binary, " to ", after.binary));
  }
  if (before.arguments != after.arguments) {
    differences.push_back(absl::StrCat("arguments changed from \"", ShownArguments(before.arguments),
                                       "\" to \"", ShownArguments(after.arguments), "\""));
  }
  CompareEnvironment(before, after, &differences);
  std::set<std::string> directives;
  for (const auto& [directive, values] : before.directives) directives.insert(directive);
  for (const auto& [directive, values] : after.directives) directives.insert(directive);
  for (const std::string& directive : directives) {
    const std::vector<std::string> was = UserValues(before.directives, directive);
    const std::vector<std::string> is = UserValues(after.directives, directive);
    if (was != is)
      differences.push_back(absl::StrCat(directive, " changed from ", Shown(was), " to ", Shown(is)));
  }
  if (before.enabled != after.enabled) {
    differences.emplace_back(after.enabled ? "the unit was disabled and is enabled"
                                           : "the unit was enabled and is not");
  }
  CompareFilesRead(before, after, &differences);
  return differences;
}

std::string MeaningToJson(const ConfigurationMeaning& meaning) {
  return nlohmann::json{{"command", meaning.command},         {"binary", meaning.binary},
                        {"arguments", meaning.arguments},     {"environment", meaning.environment},
                        {"directives", meaning.directives},   {"enabled", meaning.enabled},
                        {"config_read", meaning.config_read}, {"config_unread", meaning.config_unread}}
      .dump(2);
}

absl::StatusOr<ConfigurationMeaning> MeaningFromJson(std::string_view json) {
  try {
    const nlohmann::json parsed = nlohmann::json::parse(json);
    ConfigurationMeaning meaning;
    parsed.at("command").get_to(meaning.command);
    parsed.at("binary").get_to(meaning.binary);
    parsed.at("arguments").get_to(meaning.arguments);
    parsed.at("environment").get_to(meaning.environment);
    parsed.at("directives").get_to(meaning.directives);
    parsed.at("enabled").get_to(meaning.enabled);
    // Not in what an older agent kept.
    meaning.config_read = parsed.value("config_read", meaning.config_read);
    meaning.config_unread = parsed.value("config_unread", meaning.config_unread);
    return meaning;
  } catch (const nlohmann::json::exception& error) {
    return absl::DataLossError(absl::StrCat("kept configuration: ", error.what()));
  }
}

}  // namespace k3saga::node
