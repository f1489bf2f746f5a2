#include "agent/service/node_parts.h"

#include "k3saga/v1/facts.pb.h"

namespace k3saga::service {
namespace {

std::string ReadBootId(const node::HostPaths& paths) {
  v1::NodeFacts facts;
  node::ReadMachine(paths, &facts);
  return facts.boot_id();
}

std::string DataDirectory(NodeParts& parts) {
  const std::string data_dir = parts.local.Installation()->data_dir;
  return data_dir.empty() ? parts.distribution.DataDirectory(parts.config.host) : data_dir;
}

}  // namespace

NodeParts::NodeParts(const AgentConfig& agent_config, const node::Distribution& served)
    : config(agent_config),
      distribution(served),
      boot_id(ReadBootId(config.host)),
      systemd(node::MakeSystemd(config.host)),
      processes(config.host),
      kept(config.state, distribution),
      releases(config.state, &processes, distribution),
      backups(config.state),
      standstill(config.state),
      uploads(config.state),
      local(distribution, config.host, *systemd, processes, clock),
      etcd(etcd::MakeEtcd([this] { return etcd::K3sAccess(DataDirectory(*this), config.etcd); }, clock,
                          pauser)),
      kube(kube::MakeKube([this] { return local.Installation()->kubeconfig; }, clock, pauser)) {
  health::HealthChecks::Parts parts;
  parts.local = &local;
  parts.etcd = etcd.get();
  parts.kube = kube.get();
  parts.kubelet_health_url = config.kubelet_health;
  parts.clock = &clock;
  parts.pauser = &pauser;
  checks = std::make_unique<health::HealthChecks>(parts);
}

node::Installation NodeParts::ReadK3s() {
  local.Forget();
  return *local.Installation();
}

}  // namespace k3saga::service
