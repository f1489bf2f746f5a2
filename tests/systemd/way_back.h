#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <vector>

#include "tests/systemd/cluster.h"

namespace k3saga::hosts {

// One way back over a minor version as seen from outside: the datastore comes back from the backup that the
// upgrade took.
struct WayBackReport {
  std::string to;
  int exit_code = -1;
  double seconds = 0;                           // the command's
  bool note_before = false;                     // what was written before the upgrade is there
  bool note_after = true;                       // what was written after it is still there
  std::map<std::string, std::string> versions;  // that each node's process runs
  std::map<std::string, size_t> members;        // that each server's etcd lists; 0: it does not read
  std::vector<std::string> not_ready;           // nodes that are not Ready, or cordoned, after the wait
  std::vector<std::string> changed;  // nodes whose unit, environment or configuration is not what it was
  size_t servers = 0;
  size_t pods_expected = 0;
  size_t pods = 0;  // of the workload, ready, after the wait
  std::string log;  // what the command printed
};

// A note is something written to the cluster, to be looked for later.
absl::Status WriteNote(const Cluster& cluster, const std::string& name);

// `k3saga rollback --yes --accept-data-loss` of the upgrade that was the last rollout, from a cluster that
// has the note "before". Writes "after" first.
absl::StatusOr<WayBackReport> MeasureWayBack(Cluster& cluster, const std::string& to);

// What a good way back must not show; empty when all is well.
std::vector<std::string> Shortcomings(const WayBackReport& report);

std::string Print(const WayBackReport& report);

}  // namespace k3saga::hosts
