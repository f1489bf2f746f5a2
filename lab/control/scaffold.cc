#include "lab/control/scaffold.h"

#include <absl/strings/str_replace.h>
#include <unistd.h>

#include <set>

#include "common/status_macros.h"
#include "common/tls/certificate.h"
#include "common/tls/identity.h"
#include "common/version.h"
#include "lab/base/files.h"
#include "lab/control/release_server.h"
#include "lab/install/installer_text.h"
#include "lab/k3s/release_file.h"

namespace k3saga::lab {
namespace {

using std::filesystem::path;

constexpr const char* kReleases[] = {"v1.31.4+k3s1", "v1.32.0+k3s1"};
constexpr int kCertificateDays = 365;
constexpr int kFirstWorkerAddress = 101;  // servers from .1
constexpr int kMostNodes = 90;            // of a role; the rest of the network is the lab's own

std::string ReleaseUrl(const Lab& lab) {
  return absl::StrCat("http://", ReleaseServerAddress(lab), ":", kReleaseServerPort, "/releases");
}

Lab DescribeLab(const UpOptions& options, const path& dir, const std::string& network) {
  Lab lab;
  lab.dir = dir;
  lab.network = network;
  lab.cluster = "lab-" + RandomHex(3);
  lab.version = options.version;
  lab.datastore = options.sqlite ? "sqlite" : "etcd";
  lab.token = RandomHex(16);
  lab.timings = options.timings;
  for (int i = 1; i <= options.servers; ++i) {
    lab.nodes.push_back({absl::StrCat("s", i), true, absl::StrCat(network, ".", i)});
  }
  for (int i = 1; i <= options.workers; ++i) {
    lab.nodes.push_back(
        {absl::StrCat("w", i), false, absl::StrCat(network, ".", kFirstWorkerAddress - 1 + i)});
  }
  return lab;
}

absl::Status Check(const UpOptions& options) {
  if (options.servers < 1 || options.servers > kMostNodes || options.workers < 0 ||
      options.workers > kMostNodes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a lab has 1 to ", kMostNodes, " servers and 0 to ", kMostNodes, " workers"));
  }
  if (options.sqlite && options.servers != 1) {
    return absl::InvalidArgumentError("--sqlite is for a single server; more of them need etcd");
  }
  std::vector<std::string> versions = options.releases;
  versions.push_back(options.version);
  for (const std::string& version : versions) K3SAGA_RETURN_IF_ERROR(Version::Parse(version).status());
  return absl::OkStatus();
}

absl::Status WriteReleases(const UpOptions& options, const Layout& layout) {
  K3SAGA_ASSIGN_OR_RETURN(const path program, FindProgram("k3saga-lab-k3s"));
  std::set<std::string> versions(std::begin(kReleases), std::end(kReleases));
  versions.insert(options.releases.begin(), options.releases.end());
  versions.insert(options.version);
  for (const std::string& version : versions) {
    K3SAGA_RETURN_IF_ERROR(
        WriteRelease(program, layout.Releases(), version, {version, nlohmann::json::object()}));
  }
  // GitHub's layout is BASE/download/VERSION, a folder's is DIR/VERSION: one tree serves both.
  std::error_code error;
  std::filesystem::create_symlink(".", layout.Releases() / "download", error);
  return absl::OkStatus();
}

std::string AgentConfig(const LabNode& node, const Layout& layout) {
  const std::string root = layout.Root(node.name).string();
  const std::string bin = (layout.Node(node.name) / "bin").string();
  return absl::StrCat("node: ", node.name, "\nlisten: ", node.address, ":7440\nmetrics: ", node.address,
                      ":9440\nidentity:\n  ca: ", root, "/etc/k3saga/ca.crt\n  certificate: ", root,
                      "/etc/k3saga/agent.crt\n  key: ", root, "/etc/k3saga/agent.key\nstate: ", root,
                      "/var/lib/k3saga-agent\nhost:\n  root: ", root, "\n  systemctl: ", bin,
                      "/systemctl\n  systemd_run: ", bin, "/systemd-run\n  journalctl: ", bin,
                      "/journalctl\n  etcd: ", node.address, ":2379\n  kubelet_health: http://", node.address,
                      ":10248/healthz\n");
}

std::string AgentUnit(const path& agent, const Layout& layout, const LabNode& node) {
  const std::string root = layout.Root(node.name).string();
  return absl::StrCat(
      "[Unit]\nDescription=k3saga's agent\n\n[Service]\nType=exec\nExecStart=\"", agent.string(),
      "\" --config \"", root,
      "/etc/k3saga/agent.yaml\"\nRestart=always\nRestartSec=300ms\nKillMode=process\n\n[Install]\n"
      "WantedBy=multi-user.target\n");
}

absl::Status MakeFolders(const LabNode& node, const Layout& layout) {
  const path dir = layout.Node(node.name);
  for (const char* folder :
       {"bin", "journal", "root/etc/systemd/system", "root/etc/rancher/k3s", "root/etc/default",
        "root/etc/k3saga", "root/usr/local/bin", "root/var/lib/rancher/k3s", "root/var/lib/k3saga-agent"}) {
    K3SAGA_RETURN_IF_ERROR(MakeDirectories(dir / folder));
  }
  std::filesystem::permissions(dir / "root/var/lib/k3saga-agent", std::filesystem::perms::owner_all);
  K3SAGA_ASSIGN_OR_RETURN(const path shim, FindProgram("k3saga-lab-systemd"));
  for (const char* name : {"systemctl", "systemd-run", "journalctl"}) {
    std::error_code error;
    std::filesystem::create_symlink(shim, dir / "bin" / name, error);
  }
  return absl::OkStatus();
}

absl::Status WriteNode(const LabNode& node, const Layout& layout, const tls::CertificateAndKey& authority,
                       const UpOptions& options, const std::string& cluster) {
  K3SAGA_RETURN_IF_ERROR(MakeFolders(node, layout));
  const path root = layout.Root(node.name);
  if (node.server) {
    K3SAGA_RETURN_IF_ERROR(WriteFile(root / "etc/rancher/k3s/config.yaml",
                                     "# The installer leaves this file alone.\ntls-san:\n- lab.example\n",
                                     0600));
  }
  K3SAGA_ASSIGN_OR_RETURN(const tls::CertificateAndKey identity,
                          tls::Issue(authority, {cluster, tls::PeerRole::kAgent, node.name},
                                     NowMillis() / 1000, kCertificateDays));
  const std::string etc = (root / "etc/k3saga").string();
  K3SAGA_RETURN_IF_ERROR(tls::WriteCertificate(authority.certificate_pem, etc + "/ca.crt"));
  K3SAGA_RETURN_IF_ERROR(tls::WriteCertificateAndKey(identity, etc + "/agent.crt", etc + "/agent.key"));
  K3SAGA_RETURN_IF_ERROR(WriteFile(etc + "/agent.yaml", AgentConfig(node, layout)));
  if (!options.agents) return absl::OkStatus();
  K3SAGA_ASSIGN_OR_RETURN(const path agent, FindProgram("k3saga-agent"));
  return WriteFile(root / "etc/systemd/system/k3saga-agent.service", AgentUnit(agent, layout, node));
}

std::string ClusterFile(const Lab& lab, const UpOptions& options, const Layout& layout) {
  std::string nodes;
  for (const LabNode& node : lab.nodes) {
    absl::StrAppend(&nodes, "- {name: ", node.name, ", role: ", node.server ? "server" : "worker",
                    ", agent: \"", node.address, ":7440\"}\n");
  }
  const std::string unavailable = options.max_unavailable.empty()
                                      ? std::to_string(std::max(2, options.workers / 3))
                                      : options.max_unavailable;
  return absl::StrCat(
      "# A lab of k3saga-lab.\nname: ", lab.cluster,
      "\ndistribution: k3s\nidentity:\n  ca: identities/ca.crt\n  certificate: identities/coordinator.crt\n"
      "  key: identities/coordinator.key\nnodes:\n",
      nodes, "release:\n  source: ", options.release_server ? ReleaseUrl(lab) : layout.Releases().string(),
      "\n  installer: ", layout.Installer().string(),
      "\npolicies:\n  servers:\n    settle_time: ", options.settle_time,
      "\n    health_timeout: ", options.health_timeout,
      "\n  workers:\n    health_timeout: ", options.health_timeout, "\n    max_unavailable: ", unavailable,
      "\n    canary: ", options.canary, "\n    drain: {enabled: true, timeout: ", options.health_timeout,
      "}\n");
}

absl::Status WriteIdentities(const tls::CertificateAndKey& authority, const Lab& lab) {
  const std::string folder = (lab.dir / "identities").string();
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder));
  K3SAGA_RETURN_IF_ERROR(tls::WriteCertificateAndKey(authority, folder + "/ca.crt", folder + "/ca.key"));
  K3SAGA_ASSIGN_OR_RETURN(const tls::CertificateAndKey coordinator,
                          tls::Issue(authority, {lab.cluster, tls::PeerRole::kCoordinator, "lab"},
                                     NowMillis() / 1000, kCertificateDays));
  return tls::WriteCertificateAndKey(coordinator, folder + "/coordinator.crt", folder + "/coordinator.key");
}

// The observer and the release server run under the lab's own stand-in systemd, as units of a node called
// "lab".
absl::Status WriteLabUnits(const Lab& lab, const Layout& layout) {
  const path self = std::filesystem::read_symlink("/proc/self/exe");
  for (const char* piece : {"observer", "releases"}) {
    K3SAGA_RETURN_IF_ERROR(WriteFile(
        layout.Root("lab") / "etc/systemd/system" / absl::StrCat(piece, ".service"),
        absl::StrCat("[Service]\nType=exec\nExecStart=\"", self.string(), "\" ", piece, " --dir \"",
                     lab.dir.string(),
                     "\"\nRestart=always\nRestartSec=200ms\n\n[Install]\nWantedBy=multi-user.target\n")));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteInstaller(const Lab& lab) {
  const Layout layout{lab.dir};
  const std::string text = absl::StrReplaceAll(
      kInstallerText, {{"@RELEASES@", "file://" + layout.Releases().string()},
                       {"@VERSION@", lab.version},
                       {"@RESTART_SEC@", absl::StrCat(lab.timings.restart_sec_ms, "ms")}});
  return WriteFile(layout.Installer(), text, 0755);
}

absl::StatusOr<path> FindProgram(const std::string& name) {
  const path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const path candidates[] = {here / name, here.parent_path() / "bin" / name,
                             here.parent_path() / "libexec/k3saga" / name, path("/usr/libexec/k3saga") / name,
                             path("/usr/bin") / name};
  for (const path& candidate : candidates) {
    if (access(candidate.c_str(), X_OK) == 0) return candidate.lexically_normal();
  }
  return absl::NotFoundError(absl::StrCat(name, " is neither beside k3saga-lab (", here.string(),
                                          ") nor in /usr/libexec/k3saga; build it"));
}

absl::StatusOr<Lab> Scaffold(const UpOptions& options, const path& dir, const std::string& network) {
  K3SAGA_RETURN_IF_ERROR(Check(options));
  const Lab lab = DescribeLab(options, dir, network);
  const Layout layout{dir};
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(dir));
  K3SAGA_RETURN_IF_ERROR(SaveLab(lab));
  K3SAGA_RETURN_IF_ERROR(WriteReleases(options, layout));
  K3SAGA_RETURN_IF_ERROR(WriteInstaller(lab));
  K3SAGA_ASSIGN_OR_RETURN(const tls::CertificateAndKey authority,
                          tls::CreateAuthority(lab.cluster, NowMillis() / 1000, kCertificateDays));
  K3SAGA_RETURN_IF_ERROR(WriteIdentities(authority, lab));
  for (const LabNode& node : lab.nodes) {
    K3SAGA_RETURN_IF_ERROR(WriteNode(node, layout, authority, options, lab.cluster));
  }
  K3SAGA_RETURN_IF_ERROR(WriteLabUnits(lab, layout));
  K3SAGA_RETURN_IF_ERROR(WriteFile(layout.ClusterFile(), ClusterFile(lab, options, layout)));
  return lab;
}

}  // namespace k3saga::lab
