#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::lab {

// How long things take in a lab; DIR/lab.json carries it to every simulated k3s.
struct Timings {
  int server_start_ms = 2000;  // from the process's start to /readyz 200, at least
  int worker_start_ms = 500;   // until the kubelet answers
  int heartbeat_ms = 3000;     // a node's lease is renewed this often
  int node_grace_ms = 12000;   // older than this: the node is marked not ready
  int pod_start_ms = 600;      // a bound pod gets ready
  int pod_stop_ms = 400;       // a deleted pod goes away
  int restart_sec_ms = 1000;   // RestartSec of the k3s units (5 s on real nodes)
};

struct LabNode {
  std::string name;
  bool server = false;
  std::string address;  // 127.X.Y.i: this node's own, so that every port keeps its default
};

// DIR/lab.json: what a lab is. Written once by `up`.
struct Lab {
  std::filesystem::path dir;
  std::string network;  // "127.X.Y"
  std::string cluster;  // "lab-3f9a1c": its own, as k3saga keeps one journal a cluster
  std::string version;
  std::string datastore = "etcd";  // or "sqlite" (a single server)
  std::string token;               // k3s's join token
  Timings timings;
  std::vector<LabNode> nodes;

  const LabNode* FindNode(std::string_view name) const;
  std::vector<LabNode> Servers() const;
};

absl::Status SaveLab(const Lab& lab);
// kNotFound when there is no lab in `dir`.
absl::StatusOr<Lab> LoadLab(const std::filesystem::path& dir);

// Where everything of a lab lies.
struct Layout {
  std::filesystem::path dir;

  std::filesystem::path Node(std::string_view name) const { return dir / "nodes" / std::string(name); }
  std::filesystem::path Root(std::string_view name) const { return Node(name) / "root"; }
  std::filesystem::path Releases() const { return dir / "releases"; }
  std::filesystem::path Installer() const { return dir / "install.sh"; }
  std::filesystem::path DaemonSocket() const { return dir / "daemon.sock"; }
  std::filesystem::path DaemonPid() const { return dir / "daemon.pid"; }
  std::filesystem::path ClusterFile() const { return dir / "cluster.yaml"; }
  std::filesystem::path Observation() const { return dir / "observer.json"; }
  std::filesystem::path ObserverReset() const { return dir / "observer.reset"; }
  std::filesystem::path VeleroStorage() const { return dir / "velero"; }
  // What every server's API says at /metrics; without it: nothing.
  std::filesystem::path ApiMetrics() const { return dir / "api-metrics"; }
  std::filesystem::path ReleaseServerFault() const { return dir / "release-server.json"; }
};

// Where a machine that is a node by itself has its lab's folder (tests/systemd boots such hosts): the node is
// named as the host, and nodes/NAME/root leads to "/".
inline constexpr char kMachineLab[] = "/var/lib/k3saga-lab";

// The node that a process belongs to: from K3SAGA_LAB_NODE_DIR, else from `path` (an executable or a file
// below DIR/nodes/NAME/). This is how simulated k3s and the stand-ins find their node without being told.
struct NodeHome {
  std::filesystem::path lab_dir;
  std::string name;
};
std::optional<NodeHome> FindNodeHome(const char* environment, const std::filesystem::path& path);

// The faults a node was given (DIR/nodes/NAME/fault.json); see control/faults.h for what may stand in it.
nlohmann::json ReadNodeFaults(const Layout& layout, std::string_view node);

// Milliseconds since the epoch; RFC 3339 as Kubernetes writes it, with and without fractions.
int64_t NowMillis();
std::string FormatTime(int64_t unix_millis);
std::string FormatMicroTime(int64_t unix_millis);
// 0 when the text is no time.
int64_t ParseTime(std::string_view text);

std::string RandomHex(size_t bytes);

}  // namespace k3saga::lab
