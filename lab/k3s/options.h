#pragma once

#include <absl/status/statusor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace k3saga::lab {

// What k3s was started with: flags, then config.yaml (added to, never replacing a flag), then variables.
struct K3sOptions {
  std::map<std::string, std::vector<std::string>> values;  // by flag name without dashes

  bool Has(const std::string& flag) const;
  std::string Text(const std::string& flag, const std::string& otherwise = "") const;
  bool Flag(const std::string& flag) const;  // given, and not "false"
};

// `arguments` follow the command. Unknown flags are refused with k3s's words. Variables: K3S_URL, K3S_TOKEN,
// K3S_NODE_NAME, K3S_DATA_DIR, ...
absl::StatusOr<K3sOptions> ParseK3sOptions(const std::vector<std::string>& arguments,
                                           const std::filesystem::path& default_config_file);

}  // namespace k3saga::lab
