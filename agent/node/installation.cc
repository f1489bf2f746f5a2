#include "agent/node/installation.h"

#include "common/host/secrets.h"

namespace k3saga::node {

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
  for (const Flag& setting : node.settings) {
    v1::Setting* out = facts.add_settings();
    out->set_key(setting.name);
    out->set_value(MaskValue(setting.name, setting.value));
    out->set_source(setting.source);
    out->set_secret(IsSecretName(setting.name) || !SecretIn(setting.name, setting.value).empty());
  }
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
