#include "agent/node/k3s_config.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "common/host/files.h"
#include "common/status_macros.h"
#include "common/version.h"

namespace k3saga::node {
namespace {

// Where k3s's command line knows a short form.
std::string CanonicalName(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> kAliases = {
      {"d", "data-dir"}, {"t", "token"},   {"s", "server"},         {"o", "write-kubeconfig"},
      {"c", "config"},   {"i", "node-ip"}, {"no-deploy", "disable"}};
  auto alias = kAliases.find(name);
  return alias == kAliases.end() ? std::string(name) : alias->second;
}

// Flags that take no value: the next word is not theirs.
bool IsSwitch(std::string_view name) {
  static const std::set<std::string, std::less<>> kSwitches = {"cluster-init",
                                                               "cluster-reset",
                                                               "disable-agent",
                                                               "disable-apiserver",
                                                               "disable-cloud-controller",
                                                               "disable-controller-manager",
                                                               "disable-etcd",
                                                               "disable-helm-controller",
                                                               "disable-kube-proxy",
                                                               "disable-network-policy",
                                                               "disable-scheduler",
                                                               "disable-selinux",
                                                               "disable-default-registry-endpoint",
                                                               "docker",
                                                               "debug",
                                                               "etcd-disable-snapshots",
                                                               "etcd-expose-metrics",
                                                               "etcd-s3",
                                                               "etcd-s3-insecure",
                                                               "etcd-s3-skip-ssl-verify",
                                                               "etcd-snapshot-compress",
                                                               "embedded-registry",
                                                               "enable-pprof",
                                                               "alsologtostderr",
                                                               "no-flannel",
                                                               "prefer-bundled-bin",
                                                               "protect-kernel-defaults",
                                                               "rootless",
                                                               "secrets-encryption",
                                                               "selinux",
                                                               "supervisor-metrics",
                                                               "with-node-id",
                                                               "flannel-external-ip",
                                                               "flannel-ipv6-masq",
                                                               "multi-cluster-cidr"};
  return kSwitches.contains(name);
}

constexpr std::pair<std::string_view, std::string_view> kVariables[] = {
    {"K3S_TOKEN", "token"},
    {"K3S_TOKEN_FILE", "token-file"},
    {"K3S_AGENT_TOKEN", "agent-token"},
    {"K3S_AGENT_TOKEN_FILE", "agent-token-file"},
    {"K3S_CLUSTER_SECRET", "cluster-secret"},
    {"K3S_URL", "server"},
    {"K3S_CLUSTER_INIT", "cluster-init"},
    {"K3S_CLUSTER_RESET", "cluster-reset"},
    {"K3S_DATA_DIR", "data-dir"},
    {"K3S_NODE_NAME", "node-name"},
    {"K3S_CONFIG_FILE", "config"},
    {"K3S_KUBECONFIG_OUTPUT", "write-kubeconfig"},
    {"K3S_KUBECONFIG_MODE", "write-kubeconfig-mode"},
    {"K3S_KUBECONFIG_GROUP", "write-kubeconfig-group"},
    {"K3S_DATASTORE_ENDPOINT", "datastore-endpoint"},
    {"K3S_DATASTORE_CAFILE", "datastore-cafile"},
    {"K3S_DATASTORE_CERTFILE", "datastore-certfile"},
    {"K3S_DATASTORE_KEYFILE", "datastore-keyfile"},
    {"K3S_RESOLV_CONF", "resolv-conf"},
    {"K3S_SELINUX", "selinux"},
    {"K3S_LB_SERVER_PORT", "lb-server-port"},
    {"K3S_SYSTEM_DEFAULT_REGISTRY", "system-default-registry"},
    {"K3S_DEBUG", "debug"},
    {"K3S_ROOTLESS", "rootless"},
    {"K3S_VPN_AUTH", "vpn-auth"},
    {"K3S_VPN_AUTH_FILE", "vpn-auth-file"},
};

// k3s's own first releases with each, as minors of v1.
constexpr int kReadsFileSince = 19;
constexpr int kReadsFolderSince = 21;

struct ConfigKey {
  std::vector<std::string> values;
  std::string source;
};

absl::StatusOr<std::vector<std::string>> ScalarsOf(const YAML::Node& node, const std::string& where) {
  if (node.IsNull()) return std::vector<std::string>{""};
  if (node.IsScalar()) return std::vector<std::string>{node.Scalar()};
  if (!node.IsSequence()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": expected a value or a list of values"));
  }
  std::vector<std::string> values;
  for (const YAML::Node& item : node) {
    if (!item.IsScalar())
      return absl::InvalidArgumentError(absl::StrCat(where, ": expected a list of plain values"));
    values.push_back(item.Scalar());
  }
  return values;
}

// Merges one file into what the earlier ones said; `order` keeps the keys as they first came.
absl::Status MergeConfigFile(const std::string& path, std::map<std::string, ConfigKey>* merged,
                             std::vector<std::string>* order) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.what()));
  }
  if (root.IsNull()) return absl::OkStatus();
  if (!root.IsMap()) return absl::InvalidArgumentError(absl::StrCat(path, ": expected `key: value` lines"));
  for (const auto& pair : root) {
    if (!pair.first.IsScalar())
      return absl::InvalidArgumentError(absl::StrCat(path, ": a key is not a plain word"));
    std::string key = pair.first.Scalar();
    const std::string where = absl::StrCat(path, ":", pair.first.Mark().line + 1, ": ", key);
    K3SAGA_ASSIGN_OR_RETURN(std::vector<std::string> values, ScalarsOf(pair.second, where));
    const bool append = absl::EndsWith(key, "+");
    if (append) key.pop_back();
    key = CanonicalName(key);
    auto [entry, added] = merged->try_emplace(key);
    if (added) order->push_back(key);
    if (!append) entry->second.values.clear();
    entry->second.values.insert(entry->second.values.end(), values.begin(), values.end());
    entry->second.source = path;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Flag>> MergeConfigFiles(const std::vector<std::string>& paths) {
  std::map<std::string, ConfigKey> merged;
  std::vector<std::string> order;
  for (const std::string& path : paths) K3SAGA_RETURN_IF_ERROR(MergeConfigFile(path, &merged, &order));
  std::vector<Flag> flags;
  for (const std::string& key : order) {
    for (const std::string& value : merged[key].values) flags.push_back({key, value, merged[key].source});
  }
  return flags;
}

// config.yaml.d's; k3s names the folder after the file, whatever that is called.
absl::StatusOr<std::vector<std::string>> FilesBeside(const std::string& config_file) {
  const std::string folder = config_file + ".d";
  std::vector<std::string> files;
  const auto names = ListDirectory(folder);
  if (absl::IsNotFound(names.status())) return files;
  K3SAGA_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    const std::string lower = absl::AsciiStrToLower(name);
    const bool yaml = absl::EndsWith(lower, ".yaml") || absl::EndsWith(lower, ".yml");
    if (yaml && !IsDirectory(JoinPath(folder, name))) files.push_back(JoinPath(folder, name));
  }
  return files;
}

std::map<std::string, std::vector<std::string>> ValuesByName(const std::vector<Flag>& flags) {
  std::map<std::string, std::vector<std::string>> values;
  for (const Flag& flag : flags) values[flag.name].push_back(flag.value);
  return values;
}

// By meaning: a file that says what is said already changes nothing.
std::vector<LaterFlag> WhatChangesLater(const ConfigFiles& files) {
  std::vector<LaterFlag> later;
  std::vector<Flag> so_far = files.flags;
  std::vector<std::string> paths = files.read;
  for (const int since : {kReadsFileSince, kReadsFolderSince}) {
    std::string last;
    for (const UnreadConfigFile& file : files.unread) {
      if (file.since != since) continue;
      if (const auto alone = MergeConfigFiles({file.path}); !alone.ok()) {
        later.push_back({{"", std::string(alone.status().message()), file.path}, since});
        continue;
      }
      paths.push_back(file.path);
      last = file.path;
    }
    auto merged = MergeConfigFiles(paths);
    if (last.empty() || !merged.ok()) continue;
    const auto was = ValuesByName(so_far);
    const auto is = ValuesByName(*merged);
    for (const Flag& flag : *merged) {
      auto old = was.find(flag.name);
      if (old == was.end() || old->second != is.at(flag.name)) later.push_back({flag, since});
    }
    for (const auto& [name, values] : was) {
      if (!is.contains(name)) later.push_back({{name, "", last}, since});  // emptied by a list without items
    }
    so_far = *std::move(merged);
  }
  return later;
}

}  // namespace

std::optional<std::string> FlagOfVariable(std::string_view variable) {
  for (const auto& [name, flag] : kVariables) {
    if (name == variable) return std::string(flag);
  }
  return std::nullopt;
}

std::vector<Flag> ParseFlags(const std::vector<std::string>& words, std::string_view source) {
  std::vector<Flag> flags;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (word == "--") break;
    if (word.size() < 2 || word[0] != '-') continue;  // k3s's commands take no plain arguments
    word.remove_prefix(word[1] == '-' ? 2 : 1);
    const size_t equals = word.find('=');
    if (equals != std::string_view::npos) {
      flags.push_back(
          {CanonicalName(word.substr(0, equals)), std::string(word.substr(equals + 1)), std::string(source)});
      continue;
    }
    Flag flag{CanonicalName(word), "true", std::string(source)};
    if (!IsSwitch(flag.name) && i + 1 < words.size()) flag.value = words[++i];
    flags.push_back(std::move(flag));
  }
  return flags;
}

std::vector<std::string> WithoutFlags(const std::vector<std::string>& words,
                                      const std::function<bool(std::string_view name)>& dropped) {
  std::vector<std::string> left;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--") {
      left.insert(left.end(), words.begin() + static_cast<ptrdiff_t>(i), words.end());
      break;
    }
    const size_t dashes = std::min(word.find_first_not_of('-'), word.size());
    const size_t equals = word.find('=');
    const bool is_flag = (dashes == 1 || dashes == 2) && dashes < word.size();
    const std::string name =
        is_flag ? CanonicalName(word.substr(dashes, std::min(equals, word.size()) - dashes)) : "";
    const bool takes_next = is_flag && equals == std::string_view::npos && !IsSwitch(name);
    const bool keep = !is_flag || !dropped(name);
    if (keep) left.push_back(words[i]);
    if (takes_next && i + 1 < words.size()) {
      ++i;
      if (keep) left.push_back(words[i]);
    }
  }
  return left;
}

absl::StatusOr<ConfigFiles> ReadConfigFiles(const std::string& config_file, std::string_view version) {
  const auto release = Version::Parse(version);
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<std::string> beside, FilesBeside(config_file));
  ConfigFiles files;
  auto sort_in = [&](const std::string& path, int since) {
    const bool reads = !release.ok() || release->major() > 1 || release->minor() >= since;
    if (reads) {
      files.read.push_back(path);
    } else {
      files.unread.push_back({path, since});
    }
  };
  if (Exists(config_file)) sort_in(config_file, kReadsFileSince);
  for (const std::string& path : beside) sort_in(path, kReadsFolderSince);
  K3SAGA_ASSIGN_OR_RETURN(files.flags, MergeConfigFiles(files.read));
  if (!files.unread.empty()) files.later = WhatChangesLater(files);
  return files;
}

FlagSet::FlagSet(std::vector<Flag> command_line, std::vector<Flag> config,
                 std::map<std::string, Flag> environment)
    : command_line_(std::move(command_line)),
      config_(std::move(config)),
      environment_(std::move(environment)) {}

std::optional<Flag> FlagSet::Find(std::string_view name) const {
  for (const std::vector<Flag>* source : {&command_line_, &config_}) {
    auto last =
        std::find_if(source->rbegin(), source->rend(), [&](const Flag& flag) { return flag.name == name; });
    if (last != source->rend()) return *last;
  }
  auto variable = environment_.find(std::string(name));
  if (variable != environment_.end()) return variable->second;
  return std::nullopt;
}

std::string FlagSet::Value(std::string_view name) const {
  auto flag = Find(name);
  return flag ? flag->value : "";
}

bool FlagSet::IsTrue(std::string_view name) const {
  const std::string value = absl::AsciiStrToLower(Value(name));
  return value == "true" || value == "1" || value == "t";
}

std::vector<std::string> FlagSet::Values(std::string_view name) const {
  std::vector<std::string> values;
  for (const std::vector<Flag>* source : {&config_, &command_line_}) {
    for (const Flag& flag : *source) {
      if (flag.name == name) values.push_back(flag.value);
    }
  }
  return values;
}

}  // namespace k3saga::node
