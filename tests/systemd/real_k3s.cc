#include <unistd.h>

#include <filesystem>

#include "common/host/files.h"
#include "common/status_macros.h"
#include "tests/systemd/k3s_source.h"

namespace k3saga::hosts {
namespace {

// Real k3s as released. Hosts have no internet: whatever images pods need lie in RELEASES/images.
class RealK3s final : public K3sSource {
 public:
  RealK3s(std::string releases, std::string installer_folder, std::string pod_image)
      : releases_(std::move(releases)),
        installer_folder_(std::move(installer_folder)),
        pod_image_(std::move(pod_image)) {}
  ~RealK3s() override { (void)RemoveTree(installer_folder_); }

  std::string Releases() const override { return releases_; }
  std::string InstallerFolder() const override { return installer_folder_; }

  absl::Status Prepare(const Hosts& hosts, std::string_view name) const override {
    // The bridge that CNI would make: containers may not load its kernel module by themselves.
    (void)hosts.Run(name, {"ip", "link", "add", "cni0", "type", "bridge"});
    if (!IsDirectory(releases_ + "/images")) {
      return absl::OkStatus();
    }
    const std::string images = "/var/lib/rancher/k3s/agent/images";
    K3SAGA_RETURN_IF_ERROR(hosts.Output(name, {"mkdir", "-p", images}).status());
    K3SAGA_RETURN_IF_ERROR(
        hosts.Output(name, {"cp", "-r", absl::StrCat(kReleasesOnHost, "/images/."), images}).status());
    // For machines that may not lower a process's OOM score: containerd has to be told to leave it alone.
    if (const std::string settings = releases_ + "/config.toml.tmpl"; Exists(settings)) {
      return hosts
          .Output(name, {"install", "-D", "--mode=644", absl::StrCat(kReleasesOnHost, "/config.toml.tmpl"),
                         "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl"})
          .status();
    }
    return absl::OkStatus();
  }

  std::vector<std::string> Flags(bool server) const override {
    std::vector<std::string> flags = {"--kube-proxy-arg=conntrack-max-per-core=0",
                                      "--node-label=k3saga.test/rack=a1"};
    if (server) {
      flags.insert(flags.end(), {"--flannel-backend=host-gw", "--write-kubeconfig-mode=644",
                                 "--disable=traefik,servicelb,metrics-server,local-storage,coredns"});
    }
    return flags;
  }

  std::string PodImage() const override { return pod_image_; }

 private:
  const std::string releases_;
  const std::string installer_folder_;
  const std::string pod_image_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<K3sSource>> UseRealK3s(const RealK3sOptions& options) {
  if (!IsDirectory(options.releases)) {
    return absl::NotFoundError(
        absl::StrCat(options.releases, ": no such folder (one with VERSION/k3s was expected)"));
  }
  K3SAGA_ASSIGN_OR_RETURN(const std::string script, ReadFile(options.installer));
  std::string folder =
      absl::StrCat("/var/tmp/k3saga-installer-", getpid(), "-XXXXXX");  // `hosts sweep` knows the name
  if (mkdtemp(folder.data()) == nullptr) {
    return absl::InternalError("cannot make a folder in /var/tmp");
  }
  K3SAGA_RETURN_IF_ERROR(WriteFileDurably(folder + "/install.sh", script, {.mode = 0755}));
  return std::make_unique<RealK3s>(std::filesystem::canonical(options.releases).string(), folder,
                                   options.pod_image);
}

}  // namespace k3saga::hosts
