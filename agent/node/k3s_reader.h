#pragma once

#include <string>

#include "agent/node/host_paths.h"
#include "agent/node/installation.h"
#include "agent/node/process_check.h"
#include "agent/node/systemd.h"

namespace k3saga::node {

inline constexpr char kK3s[] = "k3s";

// Distribution::Read of k3s. No unit, two units, OpenRC, RKE2, kubeadm, unreadable files: `problems` says it.
// Runs `k3s --version` at most twice (cached in `processes`).
Installation ReadK3s(const HostPaths& paths, Systemd& systemd, ProcessInspector& processes);

// Without --data-dir.
std::string K3sDataDirectory(const HostPaths& paths);

}  // namespace k3saga::node
