#include "agent/node/installation.h"

#include <absl/strings/str_cat.h>

#include "common/host/secrets.h"
#include "common/later_setting.h"

namespace k3saga::node {
namespace {

v1::Setting* AddSetting(std::string_view key, std::string_view value, std::string_view source,
                        v1::K3sFacts* facts) {
  v1::Setting* out = facts->add_settings();
  out->set_key(std::string(key));
  out->set_value(MaskValue(key, value));
  out->set_source(std::string(source));
  out->set_secret(IsSecretName(key) || !SecretIn(key, value).empty());
  return out;
}

// The unit in systemd's own words: which files make it, and what they start. The command's flags are settings
// of their own.
void AddUnit(const Installation& node, v1::K3sFacts* facts) {
  AddSetting("FragmentPath", node.unit_file, node.unit, facts);
  for (const std::string& drop_in : node.drop_ins) AddSetting("DropInPaths", drop_in, node.unit, facts);
  const std::vector<UnitEntry> starts = node.full_unit.All("Service", "ExecStart");
  if (!starts.empty()) {
    AddSetting("ExecStart", absl::StrCat(node.binary, " ", node.command), starts.back().file, facts);
  }
  for (const EnvironmentFileRead& file : node.environment_files) {
    AddSetting("EnvironmentFile", absl::StrCat(file.path, file.there ? "" : " (not there)"), file.named_in,
               facts);
  }
}

// Files that this version does not read, and what a release that reads them would make of them.
void AddUnread(const Installation& node, v1::K3sFacts* facts) {
  const std::string& version = node.process.version.empty() ? node.binary_version : node.process.version;
  for (const UnreadConfigFile& file : node.configuration.unread) {
    AddSetting("not read", file.path,
               absl::StrCat("k3s reads it since v1.", file.since, ", this is ", version), facts);
  }
  for (const LaterFlag& later : node.configuration.later) {
    const std::string name = later.flag.name.empty() ? "(would not start)" : later.flag.name;
    AddSetting(name, later.flag.value, later.flag.source, facts)
        ->set_key(LaterSettingKey({name, later.since}));
  }
}

}  // namespace

v1::K3sFacts ToFacts(const Installation& node) {
  v1::K3sFacts facts;
  facts.set_distribution(node.distribution);
  facts.set_role(node.role);
  facts.set_unit(node.unit);
  facts.set_binary(node.binary);
  facts.set_binary_version(node.binary_version);
  facts.set_running_version(node.process.version);
  facts.set_binary_is_running(node.binary_is_running);
  facts.set_main_pid(node.process.pid);
  if (!node.unit.empty()) facts.set_active_state(node.status.Describe());
  if (node.found()) AddUnit(node, &facts);
  for (const Flag& setting : node.settings) AddSetting(setting.name, setting.value, setting.source, &facts);
  AddUnread(node, &facts);
  facts.set_datastore(node.datastore);
  facts.set_runs_etcd(node.runs_etcd);
  facts.set_runs_apiserver(node.runs_apiserver);
  facts.set_runs_kubelet(node.runs_kubelet);
  facts.set_node_name(node.node_name);
  facts.set_cluster_id(node.cluster_id);
  facts.set_data_dir(node.data_dir);
  facts.set_secrets_encryption_rotating(node.secrets_encryption_rotating);
  facts.set_rancher_managed(node.rancher_managed);
  facts.set_certificate_expiry_unix(node.certificate_expiry_unix);
  return facts;
}

}  // namespace k3saga::node
