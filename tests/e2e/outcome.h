#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/lab_cluster.h"

// What a rollout left behind, told from the outside: by the agents, the Kubernetes API, the files on the
// nodes and the rollout's own log.
namespace k3saga::testing {

inline constexpr char kOld[] = "v1.31.4+k3s1";
inline constexpr char kNew[] = "v1.32.0+k3s1";

// Unit and environment files by path: an upgrade must not change what they say.
std::map<std::string, std::string> UnitsOf(const LabCluster& lab, const std::vector<std::string>& nodes);

// Names of the nodes that the Kubernetes API shows as unschedulable.
std::vector<std::string> Cordoned(LabCluster& lab);

// How often an installer really ran on that node since the lab came up, its first installation not counted.
int InstallerRuns(const LabCluster& lab, const std::string& node);

// The last rollout's state as `status` tells it: "succeeded", "compensated", "stopped", ...
std::string StateOf(LabCluster& lab);

// The steps that `history` shows, in order, with the result of each node: what a user can read afterwards.
std::string HistoryOf(LabCluster& lab);

// Server name -> members that its etcd lists; 0 where it does not read.
std::map<std::string, size_t> MembersOf(LabCluster& lab);

// The server that leads etcd; "" when none does.
std::string LeaderOf(LabCluster& lab);

// More lines for its cluster file.
void AppendToClusterFile(const LabCluster& lab, const std::string& text);

// Install operations that succeeded, by node.
std::map<std::string, int> InstallsIn(const std::vector<v1::Event>& events);

// True when two nodes of the log were ever worked on at the same time by `verb`.
bool Overlapped(const std::vector<v1::Event>& events, v1::OperationSpec::VerbCase verb);

}  // namespace k3saga::testing
