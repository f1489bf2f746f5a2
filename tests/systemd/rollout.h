#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/systemd/cluster.h"
#include "tests/systemd/watcher.h"

namespace k3saga::hosts {

// One rollout as seen from outside: what was asked, what the cluster's users noticed, what it cost.
struct RolloutReport {
  std::string from;
  std::string to;
  int exit_code = -1;
  double seconds = 0;  // the command's
  double settled = 0;  // until nothing changed any more: servers ready, nodes at the version
  Observation seen;
  std::map<std::string, std::string> versions;  // that each node's process runs
  std::vector<std::string> not_ready;           // nodes that are not Ready at the end
  std::vector<std::string> cordoned;
  std::vector<std::string> changed;   // nodes whose unit, environment or configuration is not what it was
  std::map<std::string, int> starts;  // of k3s, each node, during the rollout
  size_t fewest_pods = 0;             // of the workload, ready
  size_t pods_at_end = 0;
  double coordinator_cpu = 0;            // seconds
  double agents_cpu = 0;                 // the services, together
  std::optional<double> operations_cpu;  // transient units, with the installers in them; none: not counted
  std::string log;                       // what the command printed
};

// `k3saga upgrade --to TO --yes` with everything measured around it. Waits until the cluster has come to
// rest.
absl::StatusOr<RolloutReport> MeasureRollout(Cluster& cluster, const std::string& from,
                                             const std::string& to);

// What a good rollout must not show; empty when all is well.
std::vector<std::string> Shortcomings(const RolloutReport& report);

// For people.
std::string Print(const RolloutReport& report);
// For programs.
std::string ToJson(const RolloutReport& report);

}  // namespace k3saga::hosts
