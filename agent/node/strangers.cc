#include "agent/node/strangers.h"

#include "common/host/files.h"

namespace k3saga::node {
namespace {

struct Sight {
  const char* name;
  const char* said;
  const char* unit;  // in any folder of units; nullptr: `file` below the root
  const char* file;
};

constexpr Sight kSights[] = {
    {"rke2", "this node runs RKE2", "rke2-server.service", nullptr},
    {"rke2", "this node runs RKE2", "rke2-agent.service", nullptr},
    {"kubeadm", "this node was set up by kubeadm", nullptr, "etc/kubernetes/kubelet.conf"},
    {"kubeadm", "this node was set up by kubeadm", nullptr, "etc/kubernetes/manifests"},
    {"k3s", "this node runs k3s", "k3s.service", nullptr},
    {"k3s", "this node runs k3s", "k3s-agent.service", nullptr},
};

// Where it is; "" when it is not.
std::string Spot(const HostPaths& paths, const Sight& sight) {
  if (sight.unit == nullptr) {
    const std::string file = paths.Below(sight.file);
    return Exists(file) ? file : "";
  }
  for (const std::string& directory : paths.UnitDirectories()) {
    const std::string file = JoinPath(directory, sight.unit);
    if (Exists(file)) return file;
  }
  return "";
}

}  // namespace

std::optional<Stranger> FindStranger(const HostPaths& paths, std::string_view own) {
  for (const Sight& sight : kSights) {
    if (sight.name == own) continue;
    std::string trace = Spot(paths, sight);
    if (!trace.empty()) return Stranger{sight.name, sight.said, std::move(trace)};
  }
  return std::nullopt;
}

}  // namespace k3saga::node
