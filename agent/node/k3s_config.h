#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::node {

// k3s's flags wherever they were written. Names are canonical: no dashes, aliases resolved ("-d" is
// "data-dir").
struct Flag {
  std::string name;
  std::string value;   // "true" for a flag without a value
  std::string source;  // "/etc/systemd/system/k3s.service:ExecStart", "/etc/rancher/k3s/config.yaml", ...
  bool operator==(const Flag&) const = default;
};

// The words after "server" or "agent". Both "--x y" and "--x=y", one dash or two, as Go's flag package takes
// them.
std::vector<Flag> ParseFlags(const std::vector<std::string>& words, std::string_view source);

// The words without the flags whose canonical name is `dropped`, and without those flags' values.
std::vector<std::string> WithoutFlags(const std::vector<std::string>& words,
                                      const std::function<bool(std::string_view name)>& dropped);

// A configuration file that lies there although this version does not look at it.
struct UnreadConfigFile {
  std::string path;
  int since = 0;  // the minor release of v1 that reads it
};

// What reading such a file would change.
struct LaterFlag {
  Flag flag;  // name "": k3s would not start, `value` says why
  int since = 0;
};

struct ConfigFiles {
  std::vector<Flag> flags;
  std::vector<std::string> read;  // in the order of reading
  std::vector<UnreadConfigFile> unread;
  std::vector<LaterFlag> later;
};

// config.yaml (since v1.19) and the *.yaml and *.yml of config.yaml.d (since v1.21) in their order, as far as
// `version` reads them; "": as k3s of today does. A later file overrides a key, "key+" appends. A folder
// or file that is missing is empty; kInvalidArgument names the file that is no YAML map.
absl::StatusOr<ConfigFiles> ReadConfigFiles(const std::string& config_file, std::string_view version);

// What counts: the command line beats the configuration, which beats the environment (K3S_TOKEN, K3S_URL,
// ...).
class FlagSet {
 public:
  FlagSet(std::vector<Flag> command_line, std::vector<Flag> config, std::map<std::string, Flag> environment);

  std::optional<Flag> Find(std::string_view name) const;
  std::string Value(std::string_view name) const;  // "" when it is nowhere
  bool IsTrue(std::string_view name) const;
  std::vector<std::string> Values(std::string_view name) const;  // of a list: both sources

 private:
  std::vector<Flag> command_line_;
  std::vector<Flag> config_;
  std::map<std::string, Flag> environment_;  // by flag name
};

// The flag a variable stands for: "K3S_URL" -> "server". nullopt: k3s reads no such variable.
std::optional<std::string> FlagOfVariable(std::string_view variable);

}  // namespace k3saga::node
