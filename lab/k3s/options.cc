#include "lab/k3s/options.h"

#include <absl/strings/match.h>
#include <absl/strings/strip.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "common/status_macros.h"

namespace k3saga::lab {
namespace {

const std::map<std::string, std::string>& ShortNames() {
  static const auto* names = new std::map<std::string, std::string>{
      {"t", "token"},  {"s", "server"}, {"d", "data-dir"}, {"o", "write-kubeconfig"},
      {"c", "config"}, {"v", "v"}};
  return *names;
}

// Flags that stand alone.
const std::set<std::string>& Switches() {
  static const auto* names = new std::set<std::string>{"cluster-init",
                                                       "cluster-reset",
                                                       "disable-agent",
                                                       "disable-etcd",
                                                       "disable-apiserver",
                                                       "disable-scheduler",
                                                       "disable-controller-manager",
                                                       "disable-cloud-controller",
                                                       "disable-kube-proxy",
                                                       "disable-network-policy",
                                                       "disable-helm-controller",
                                                       "secrets-encryption",
                                                       "protect-kernel-defaults",
                                                       "selinux",
                                                       "rootless",
                                                       "docker",
                                                       "debug",
                                                       "embedded-registry",
                                                       "etcd-expose-metrics",
                                                       "etcd-disable-snapshots",
                                                       "prefer-bundled-bin",
                                                       "etcd-s3"};
  return *names;
}

const std::set<std::string>& Flags() {
  static const auto* names = new std::set<std::string>{"token",
                                                       "token-file",
                                                       "server",
                                                       "data-dir",
                                                       "config",
                                                       "write-kubeconfig",
                                                       "write-kubeconfig-mode",
                                                       "write-kubeconfig-group",
                                                       "node-name",
                                                       "node-ip",
                                                       "node-external-ip",
                                                       "node-label",
                                                       "node-taint",
                                                       "with-node-id",
                                                       "bind-address",
                                                       "advertise-address",
                                                       "advertise-port",
                                                       "https-listen-port",
                                                       "tls-san",
                                                       "cluster-cidr",
                                                       "service-cidr",
                                                       "cluster-dns",
                                                       "cluster-domain",
                                                       "service-node-port-range",
                                                       "flannel-backend",
                                                       "flannel-iface",
                                                       "disable",
                                                       "datastore-endpoint",
                                                       "datastore-cafile",
                                                       "datastore-certfile",
                                                       "datastore-keyfile",
                                                       "kubelet-arg",
                                                       "kube-proxy-arg",
                                                       "kube-apiserver-arg",
                                                       "kube-controller-manager-arg",
                                                       "kube-scheduler-arg",
                                                       "kube-cloud-controller-manager-arg",
                                                       "etcd-arg",
                                                       "cluster-reset-restore-path",
                                                       "agent-token",
                                                       "agent-token-file",
                                                       "egress-selector-mode",
                                                       "snapshotter",
                                                       "private-registry",
                                                       "resolv-conf",
                                                       "pause-image",
                                                       "lb-server-port",
                                                       "kubelet-start-timeout",
                                                       "log",
                                                       "v",
                                                       "vmodule",
                                                       "etcd-snapshot-schedule-cron",
                                                       "etcd-snapshot-retention",
                                                       "etcd-snapshot-dir",
                                                       "etcd-snapshot-name",
                                                       "container-runtime-endpoint",
                                                       "system-default-registry",
                                                       "default-local-storage-path",
                                                       "servicelb-namespace",
                                                       "enable-pprof",
                                                       "supervisor-metrics",
                                                       "kine-tls",
                                                       "helm-job-image",
                                                       "nonroot-devices",
                                                       "name",
                                                       "dir",
                                                       "snapshot-retention",
                                                       "snapshot-compress",
                                                       "vpn-auth",
                                                       "image-service-endpoint"};
  return *names;
}

struct Variable {
  const char* name;
  const char* flag;
};
constexpr Variable kVariables[] = {{"K3S_URL", "server"},
                                   {"K3S_TOKEN", "token"},
                                   {"K3S_TOKEN_FILE", "token-file"},
                                   {"K3S_NODE_NAME", "node-name"},
                                   {"K3S_DATA_DIR", "data-dir"},
                                   {"K3S_KUBECONFIG_OUTPUT", "write-kubeconfig"},
                                   {"K3S_KUBECONFIG_MODE", "write-kubeconfig-mode"},
                                   {"K3S_DATASTORE_ENDPOINT", "datastore-endpoint"},
                                   {"K3S_CLUSTER_INIT", "cluster-init"}};

// config.yaml and config.yaml.d/*.yaml: a later file's key takes the place of an earlier one's, "key+" adds
// to it.
std::vector<std::filesystem::path> ConfigFiles(const std::filesystem::path& file) {
  std::vector<std::filesystem::path> files;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(file.string() + ".d", none)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (std::filesystem::exists(file)) files.insert(files.begin(), file);
  return files;
}

absl::Status ReadConfigFile(const std::filesystem::path& file,
                            std::map<std::string, std::vector<std::string>>& config) {
  try {
    const YAML::Node root = YAML::LoadFile(file.string());
    for (const auto& entry : root) {
      const auto key = entry.first.as<std::string>();
      std::vector<std::string>& values = config[std::string(absl::StripSuffix(key, "+"))];
      if (!absl::EndsWith(key, "+")) values.clear();
      if (entry.second.IsSequence()) {
        for (const YAML::Node& item : entry.second) values.push_back(item.as<std::string>());
      } else {
        values.push_back(entry.second.as<std::string>());
      }
    }
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(file.string(), ": ", error.what()));
  }
  return absl::OkStatus();
}

absl::Status ReadConfig(const std::filesystem::path& file, K3sOptions& options) {
  std::map<std::string, std::vector<std::string>> config;
  for (const std::filesystem::path& each : ConfigFiles(file)) {
    K3SAGA_RETURN_IF_ERROR(ReadConfigFile(each, config));
  }
  for (auto& [key, values] : config) {
    if (!options.Has(key)) options.values[key] = std::move(values);
  }
  return absl::OkStatus();
}

}  // namespace

bool K3sOptions::Has(const std::string& flag) const { return values.count(flag) > 0; }

std::string K3sOptions::Text(const std::string& flag, const std::string& otherwise) const {
  auto found = values.find(flag);
  return found == values.end() || found->second.empty() ? otherwise : found->second.back();
}

bool K3sOptions::Flag(const std::string& flag) const {
  const std::string value = Text(flag, "false");
  return value != "false" && value != "0";
}

absl::StatusOr<K3sOptions> ParseK3sOptions(const std::vector<std::string>& arguments,
                                           const std::filesystem::path& default_config_file) {
  K3sOptions options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view argument = arguments[i];
    if (!absl::ConsumePrefix(&argument, "-")) continue;  // k3s's command line ignores loose words too
    (void)absl::ConsumePrefix(&argument, "-");
    const size_t equals = argument.find('=');
    std::string name(argument.substr(0, equals));
    if (auto full = ShortNames().find(name); full != ShortNames().end()) name = full->second;
    const bool is_switch = Switches().count(name) > 0;
    if (!is_switch && Flags().count(name) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("flag provided but not defined: -", name));
    }
    if (equals != absl::string_view::npos) {
      options.values[name].emplace_back(argument.substr(equals + 1));
    } else if (is_switch) {
      options.values[name].emplace_back("true");
    } else if (i + 1 < arguments.size()) {
      options.values[name].push_back(arguments[++i]);
    } else {
      return absl::InvalidArgumentError(absl::StrCat("flag needs an argument: -", name));
    }
  }
  K3SAGA_RETURN_IF_ERROR(ReadConfig(options.Text("config", default_config_file.string()), options));
  for (const Variable& variable : kVariables) {
    const char* value = std::getenv(variable.name);
    if (value != nullptr && *value != '\0' && !options.Has(variable.flag)) {
      options.values[variable.flag].emplace_back(value);
    }
  }
  return options;
}

}  // namespace k3saga::lab
