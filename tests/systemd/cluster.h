#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/systemd/background.h"
#include "tests/systemd/hosts.h"
#include "tests/systemd/k3s_source.h"
#include "tests/systemd/kube_client.h"

namespace k3saga::hosts {

// The host that k3saga itself is installed on, beside the nodes.
inline constexpr char kOperator[] = "operator";

struct ClusterOptions {
  size_t servers = 3;
  size_t workers = 2;
  std::string version;  // of k3s, at first
  std::string settle_time = "15s";
  std::string health_timeout = "5m";
  std::string canary = "1";
  std::string max_unavailable = "1";
  size_t replicas = 4;  // of a workload with a disruption budget that allows one to be away
};

struct KubeNode {
  std::string name;
  std::string version;
  bool ready = false;
  bool unschedulable = false;
};

// A k3s cluster on booted hosts, installed as users do, with our packages on every host: k3saga-agent on the
// nodes, k3saga on one more. Everything ends with it.
class Cluster {
 public:
  // `source` must outlive the cluster. Packages are what `packages` (a build target) made.
  static absl::StatusOr<std::unique_ptr<Cluster>> Start(const K3sSource& source,
                                                        const ClusterOptions& options);

  Hosts& hosts() { return *hosts_; }
  const std::vector<std::string>& servers() const { return servers_; }
  const std::vector<std::string>& workers() const { return workers_; }
  std::vector<std::string> nodes() const;
  const AdminAccess& access() const { return access_; }

  // `k3saga -f cluster.yaml ARGUMENTS...` on the operator's host.
  std::vector<std::string> K3saga(const std::vector<std::string>& arguments) const;
  absl::StatusOr<ProcessResult> RunK3saga(
      const std::vector<std::string>& arguments,
      std::chrono::milliseconds deadline = std::chrono::minutes(10)) const;

  // Asks the first server that answers.
  absl::StatusOr<KubeReply> Ask(std::string_view method, std::string_view path,
                                std::string_view body = "") const;
  absl::StatusOr<std::vector<KubeNode>> KubeNodes() const;
  // Ready pods of the workload.
  absl::StatusOr<size_t> ReadyPods() const;

  // Unit, environment and configuration of k3s on a node: a checksum a file.
  absl::StatusOr<std::string> Configuration(std::string_view name) const;
  // What a process runs, not what a file says: `EXE --version` of the unit's main process.
  absl::StatusOr<std::string> RunningVersion(std::string_view name) const;
  std::string Unit(std::string_view name) const;  // "k3s" or "k3s-agent"

  // Until every server's k3s has been started for that long: whoever upgrades a cluster has one that runs,
  // and a rollout of one that was just begun waits for it to settle first.
  absl::Status AwaitAge(std::chrono::seconds age) const;

 private:
  Cluster(const K3sSource& source, const ClusterOptions& options) : source_(source), options_(options) {}
  absl::Status InstallPackages();
  absl::Status InstallK3s();
  absl::Status InstallServer(const std::string& name, bool first);
  absl::Status InstallWorker(const std::string& name);
  absl::Status RunInstaller(const std::string& name, const std::vector<std::string>& environment,
                            std::vector<std::string> arguments);
  absl::Status GiveIdentities();
  absl::Status AwaitReady();
  absl::Status StartWorkload();
  std::string ClusterFile() const;
  bool IsServer(std::string_view name) const;

  const K3sSource& source_;
  const ClusterOptions options_;
  std::vector<std::string> servers_;
  std::vector<std::string> workers_;
  std::unique_ptr<Hosts> hosts_;
  AdminAccess access_;
};

// The Debian packages that our own ones need, without ours.
absl::StatusOr<std::vector<std::string>> DependenciesOfPackages();
std::string PackagesFolder();

}  // namespace k3saga::hosts
