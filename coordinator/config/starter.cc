#include "coordinator/config/starter.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

namespace k3saga::config {
namespace {

// Values that are written out are the defaults; a test parses this and compares. Keys that have no default
// are commented out.
constexpr char kTemplate[] =
    R"(# The cluster that k3saga upgrades. Every key is explained here; docs/cluster-file.md says more. What is left out has
# the value that stands here.

# Lower-case letters, digits and "-". Part of every certificate: agents serve coordinators of this cluster only.
name: @NAME@
distribution: k3s

# How this machine proves to the agents who it is. Paths are relative to this file; the key must be mode 0600.
identity:
  ca: @IDENTITY@/ca.crt
  certificate: @IDENTITY@/coordinator.crt
  key: @IDENTITY@/coordinator.key

# Every node of the cluster, named as `kubectl get nodes` names it. role: server | worker. agent: where the node's
# k3saga-agent listens (port 7440 when none is given). Servers and workers are upgraded in this order, except that the
# etcd leader goes last.
nodes:
@NODES@
# Where a release comes from.
release:
  # https://... (a GitHub release page or a mirror of it) | /folder (on each node, /folder/VERSION/k3s)
  # | coordinator:/folder (on this machine) | coordinator:https://... (fetched once, by this machine): both are pushed
  # to the nodes, which then need no internet
  source: https://github.com/k3s-io/k3s/releases
  # Tried in order when the first does not have it.
  fallback_sources: []
  # k3s's install script: https://... | /file (on each node) | coordinator:/file | coordinator:https://...
  # | none (replace the binary and restart only)
  installer: https://get.k3s.io
  # Refuse any other installer than the one with this hash.
  # installer_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  # Asked when --to names a channel (stable, latest, v1.32) instead of a version.
  channel_server: https://update.k3s.io/v1-release/channels
  # Stage and replace the air-gap images archive too.
  images: false

# Taken right before the first server is touched.
backup:
  enabled: true
  # How many of ours to keep on the node.
  keep: 5
  # A folder on this machine that gets a verified copy; empty: the backup stays on the node.
  copy_to: ""
  # Past the point of no return a failed upgrade only leads back with the datastore, which loses what was written since the
  # backup. true: agreed beforehand; false: it stops and names the command.
  restore_on_failure: false
  # Namespaces that Velero backs up as well; empty: Velero is not used. velero: {} is kube-system.
  velero: {namespaces: []}
  # How to back up an external datastore: a command on this machine, as a list of arguments. Exit 0 means done.
  external_command: []

policies:
  # One at a time; the quorum gate before each, the stability gate after each.
  servers:
    # From the start of an install to verified health. At its end the node puts back what it ran before.
    health_timeout: 5m
    # All servers must have been ready, without a restart, for this long before the next is touched.
    settle_time: 15s
    # How long a closed gate is waited for before the rollout stops.
    gate_timeout: 10m
    cordon: true
    drain:
      enabled: false
      timeout: 5m
      # "pod": as each pod says; or a duration.
      grace_period: pod
      # Allow to evict pods with emptyDir volumes (their data is lost).
      delete_empty_dir_data: false
      # Allow to delete pods that no controller would bring back.
      force: false
      # Only pods with these labels; empty: every pod.
      pod_selector: ""
      # fail (nothing was touched yet) | force (delete what is left, ignoring budgets) | proceed (upgrade anyway)
      on_timeout: fail
    # put_back (every server that moved goes back, newest first) | stop
    on_failure: put_back
    # never | if-required
    reboot: never

  workers:
    health_timeout: 5m
    # Nodes that may be unavailable at once, those that were before included: a number, or a percentage such as 10%.
    max_unavailable: 1
    # Nodes that are upgraded and verified before the others start.
    canary: 1
    # Workers that may fail before nothing new is started: a number or a percentage. 0: the first failure stops.
    failure_budget: 0
    cordon: true
    drain:
      enabled: true
      timeout: 5m
      grace_period: pod
      delete_empty_dir_data: false
      force: false
      pod_selector: ""
      on_timeout: fail
    # stop | skip (go on until the failure budget is spent) | put_back
    on_failure: stop
    reboot: never

# Asked before each node; while it is closed, nothing new starts.
gate:
  # Closed while alerts fire on this Prometheus, such as http://prometheus.example:9090
  prometheus: ""
  # Only alerts with these labels, such as severity="critical"
  # filter: severity="critical"
  # A command on this machine, as a list of arguments: exit 0 opens.
  command: []
  # How long one question may take; what does not answer is closed.
  timeout: 10s

# A folder on this machine with steps of your own that are known to hurt (every *.yaml in it); k3saga knows some itself.
known_trouble: ""

# `k3saga plans render` writes Plans for Rancher's system-upgrade-controller, for those who cannot run agents.
system_upgrade_controller:
  enabled: false
  # At most one of the two; without, `plans render --to VERSION` says it.
  # version: v1.32.0+k3s1
  # channel: https://update.k3s.io/v1-release/channels/stable
)";

constexpr char kExampleNodes[] =
    "- {name: s1, role: server, agent: 10.0.0.11}\n"
    "- {name: s2, role: server, agent: 10.0.0.12}\n"
    "- {name: s3, role: server, agent: 10.0.0.13}\n"
    "- {name: w1, role: worker, agent: 10.0.0.21}\n";

}  // namespace

std::string StarterClusterFile(const std::string& name, const std::vector<StarterNode>& nodes,
                               const std::string& identity_folder) {
  std::string list;
  for (const StarterNode& node : nodes) {
    absl::StrAppend(&list, "- {name: ", node.name,
                    ", role: ", node.role == v1::ROLE_SERVER ? "server" : "worker", ", agent: \"",
                    node.address, "\"}\n");
  }
  return absl::StrReplaceAll(
      kTemplate,
      {{"@NAME@", name}, {"@IDENTITY@", identity_folder}, {"@NODES@", list.empty() ? kExampleNodes : list}});
}

}  // namespace k3saga::config
