#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/installation.h"

namespace k3saga::node {

// What a unit and its environment mean, whatever they look like: compared before and after an installer ran.
// Holds secrets: files with it are 0600, Compare masks.
struct ConfigurationMeaning {
  std::string command;  // "server"
  std::string binary;
  std::vector<std::string> arguments;              // of the process, in order
  std::map<std::string, std::string> environment;  // of the process
  // "Service/LimitNOFILE" -> values since the last reset, without ExecStart and the environment.
  std::map<std::string, std::vector<std::string>> directives;
  bool enabled = false;
  // Configuration files as the binary on disk takes them: those it reads, and those it does not, with the
  // flags that would change if it did. Their own text is the user's; no installer writes it.
  std::set<std::string> config_read;
  std::map<std::string, std::set<std::string>> config_unread;
};

ConfigurationMeaning MeaningOf(const Installation& installation);

// One line a difference, secrets masked; empty: they mean the same. What installers of different ages write
// for the same thing (Type=exec or notify is *not* one of them) is no difference; a directive that no
// installer ever wrote and that is gone afterwards is one.
std::vector<std::string> CompareMeaning(const ConfigurationMeaning& before,
                                        const ConfigurationMeaning& after);

std::string MeaningToJson(const ConfigurationMeaning& meaning);
absl::StatusOr<ConfigurationMeaning> MeaningFromJson(std::string_view json);

}  // namespace k3saga::node
