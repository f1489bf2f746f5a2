#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/host/files.h"
#include "common/status_macros.h"
#include "lab/base/layout.h"
#include "lab/control/scaffold.h"
#include "lab/k3s/release_file.h"
#include "tests/systemd/k3s_source.h"

namespace k3saga::hosts {
namespace {

// The lab's k3s on a host of its own instead of below the lab's folder: the host's root is the node's root.
class SimulatedK3s final : public K3sSource {
 public:
  explicit SimulatedK3s(std::string folder) : folder_(std::move(folder)) {}
  ~SimulatedK3s() override { (void)RemoveTree(folder_); }

  std::string Releases() const override { return folder_ + "/releases"; }
  std::string InstallerFolder() const override { return folder_ + "/installer"; }

  absl::Status Prepare(const Hosts& hosts, std::string_view name) const override {
    lab::Lab described;
    described.dir = folder_ + "/" + std::string(name);
    described.token = "k3saga-test-token";
    for (const std::string& host : hosts.names()) {
      if (host != "operator") {
        described.nodes.push_back(
            {.name = host, .server = host.front() == 's', .address = hosts.Address(host)});
      }
    }
    K3SAGA_RETURN_IF_ERROR(lab::SaveLab(described));
    K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(described.dir.string() + "/lab.json"));
    K3SAGA_RETURN_IF_ERROR(hosts.WriteFile(name, absl::StrCat(lab::kMachineLab, "/lab.json"), text, 0600));
    const std::string node = absl::StrCat(lab::kMachineLab, "/nodes/", std::string(name));
    K3SAGA_RETURN_IF_ERROR(hosts.Output(name, {"mkdir", "-p", node + "/bin", node + "/journal"}).status());
    K3SAGA_RETURN_IF_ERROR(
        hosts.Output(name, {"ln", "-sfn", "/usr/bin/systemctl", node + "/bin/systemctl"}).status());
    return hosts.Output(name, {"ln", "-sfn", "/", node + "/root"}).status();
  }

  std::vector<std::string> Flags(bool server) const override {
    std::vector<std::string> flags = {"--node-label=k3saga.test/rack=a1"};
    if (server) {
      flags.insert(flags.end(), {"--write-kubeconfig-mode=644", "--disable=traefik,servicelb"});
    }
    return flags;
  }

  std::string PodImage() const override { return "pause"; }

 private:
  const std::string folder_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<K3sSource>> UseSimulatedK3s(const SimulatedK3sOptions& options) {
  std::string folder =
      absl::StrCat("/var/tmp/k3saga-simulated-", getpid(), "-XXXXXX");  // `hosts sweep` knows the name
  if (mkdtemp(folder.data()) == nullptr) {
    return absl::InternalError("cannot make a folder in /var/tmp");
  }
  auto source = std::make_unique<SimulatedK3s>(folder);
  lab::Lab stand_in;
  stand_in.dir = source->InstallerFolder();
  K3SAGA_RETURN_IF_ERROR(lab::WriteInstaller(stand_in));
  for (const std::string& version : options.versions) {
    lab::ReleaseInfo release{.version = version, .faults = nlohmann::json::object()};
    if (version == options.faulty_version) {
      release.faults = nlohmann::json::parse(options.faults);
    }
    K3SAGA_RETURN_IF_ERROR(lab::WriteRelease(absl::StrCat(K3SAGA_BUILD_DIR, "/bin/k3saga-lab-k3s"),
                                             source->Releases(), version, release));
  }
  return source;
}

}  // namespace k3saga::hosts
