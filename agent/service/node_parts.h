#pragma once

#include <memory>
#include <string>

#include "agent/etcd/etcd.h"
#include "agent/health/checks.h"
#include "agent/health/node_k3s.h"
#include "agent/kube/kube.h"
#include "agent/node/distribution.h"
#include "agent/node/k3s.h"
#include "agent/node/keep.h"
#include "agent/node/process_check.h"
#include "agent/node/releases.h"
#include "agent/node/snapshot.h"
#include "agent/node/standstill.h"
#include "agent/node/systemd.h"
#include "agent/node/uploads.h"
#include "agent/operations/journal.h"
#include "agent/service/config.h"
#include "common/host/clock.h"
#include "common/host/pause.h"

namespace k3saga::service {

// Everything that touches this node, made once a process: by the service and by the process of an operation.
struct NodeParts {
  explicit NodeParts(const AgentConfig& agent_config, const node::Distribution& served = node::K3s());
  NodeParts(const NodeParts&) = delete;
  NodeParts& operator=(const NodeParts&) = delete;

  // k3s as it is installed at this moment: for whoever is going to act on it.
  node::Installation ReadK3s();

  const AgentConfig config;
  const node::Distribution& distribution;  // what this agent looks after
  SystemClock clock;
  SystemPauser pauser;
  std::string boot_id;
  std::unique_ptr<node::Systemd> systemd;
  node::ProcessInspector processes;
  node::KeptFiles kept;
  node::ReleaseStore releases;
  node::BackupStore backups;
  node::Standstill standstill;
  node::UploadStore uploads;
  health::NodeK3s local;
  std::unique_ptr<etcd::Etcd> etcd;
  std::unique_ptr<kube::Kube> kube;
  std::unique_ptr<health::HealthChecks> checks;
};

}  // namespace k3saga::service
