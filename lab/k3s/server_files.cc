#include "lab/k3s/server_files.h"

#include <absl/strings/ascii.h>

#include "common/status_macros.h"
#include "lab/base/files.h"

namespace k3saga::lab {
namespace {

using nlohmann::json;
using std::filesystem::path;

constexpr const char* kAuthorities[] = {"server-ca", "client-ca", "request-header-ca", "etcd/server-ca",
                                        "etcd/peer-ca"};

absl::StatusOr<KeyPair> ReadPair(const path& stem) {
  KeyPair pair;
  K3SAGA_ASSIGN_OR_RETURN(pair.certificate, ReadFile(stem.string() + ".crt"));
  K3SAGA_ASSIGN_OR_RETURN(pair.key, ReadFile(stem.string() + ".key"));
  return pair;
}

absl::Status WritePair(const path& stem, const KeyPair& pair) {
  K3SAGA_RETURN_IF_ERROR(WriteFile(stem.string() + ".crt", pair.certificate));
  return WriteFile(stem.string() + ".key", pair.key, 0600);
}

absl::StatusOr<KeyPair> EnsureLeaf(const path& stem, const KeyPair& authority, const Subject& subject) {
  if (std::filesystem::exists(stem.string() + ".key")) return ReadPair(stem);
  K3SAGA_ASSIGN_OR_RETURN(KeyPair pair, SignLeaf(authority, subject));
  K3SAGA_RETURN_IF_ERROR(WritePair(stem, pair));
  return pair;
}

std::string Kubeconfig(const Instance& instance, const std::string& ca, const KeyPair& admin) {
  return absl::StrCat("apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: ",
                      Base64(ca), "\n    server: https://", instance.node.address,
                      ":6443\n  name: default\ncontexts:\n- context:\n    cluster: default\n    user: "
                      "default\n  name: default\n"
                      "current-context: default\npreferences: {}\nusers:\n- name: default\n  user:\n    "
                      "client-certificate-data: ",
                      Base64(admin.certificate), "\n    client-key-data: ", Base64(admin.key), "\n");
}

absl::Status WriteTokens(const Instance& instance, const std::string& ca, const std::string& secret) {
  const path server = instance.DataDir() / "server";
  const std::string full = FullToken(ca, "server", secret) + "\n";
  K3SAGA_RETURN_IF_ERROR(WriteFile(server / "token", full, 0600));
  std::error_code ignored;
  std::filesystem::remove(server / "node-token", ignored);
  std::filesystem::create_symlink(server / "token", server / "node-token", ignored);
  return absl::OkStatus();
}

}  // namespace

bool HasServerFiles(const Instance& instance) {
  return std::filesystem::exists(instance.Tls() / "etcd/peer-ca.key") &&
         std::filesystem::exists(instance.DataDir() / "server/token");
}

json NewBootstrap(const std::string& token_secret) {
  json bootstrap = {{"token", token_secret}};
  const std::string suffix = std::to_string(NowMillis() / 1000);
  for (const std::string name : kAuthorities) {
    std::string common_name = "k3s-" + name + "@" + suffix;
    std::replace(common_name.begin(), common_name.end(), '/', '-');
    auto pair = MakeAuthority(common_name);
    if (pair.ok()) bootstrap[name] = {{"certificate", pair->certificate}, {"key", pair->key}};
  }
  return bootstrap;
}

absl::StatusOr<json> ReadBootstrap(const Instance& instance) {
  json bootstrap = json::object();
  for (const std::string name : kAuthorities) {
    K3SAGA_ASSIGN_OR_RETURN(KeyPair pair, ReadPair(instance.Tls() / name));
    bootstrap[name] = {{"certificate", pair.certificate}, {"key", pair.key}};
  }
  K3SAGA_ASSIGN_OR_RETURN(std::string token, ReadFile(instance.DataDir() / "server/token"));
  bootstrap["token"] = TokenSecret(std::string(absl::StripAsciiWhitespace(token)));
  return bootstrap;
}

absl::Status WriteBootstrap(const Instance& instance, const json& bootstrap) {
  for (const std::string name : kAuthorities) {
    if (!bootstrap.contains(name)) return absl::DataLossError(absl::StrCat("the bootstrap data lack ", name));
    K3SAGA_RETURN_IF_ERROR(WritePair(
        instance.Tls() / name, {bootstrap[name].value("certificate", ""), bootstrap[name].value("key", "")}));
  }
  return WriteTokens(instance, bootstrap["server-ca"].value("certificate", ""), bootstrap.value("token", ""));
}

absl::StatusOr<ServerFiles> PrepareServerFiles(const Instance& instance) {
  const path tls = instance.Tls();
  ServerFiles files;
  K3SAGA_ASSIGN_OR_RETURN(files.server_ca, ReadPair(tls / "server-ca"));
  K3SAGA_ASSIGN_OR_RETURN(files.client_ca, ReadPair(tls / "client-ca"));
  K3SAGA_ASSIGN_OR_RETURN(KeyPair etcd_ca, ReadPair(tls / "etcd/server-ca"));
  K3SAGA_ASSIGN_OR_RETURN(KeyPair peer_ca, ReadPair(tls / "etcd/peer-ca"));
  files.etcd_ca = etcd_ca.certificate;

  const std::vector<std::string> addresses = {"127.0.0.1", instance.node.address};
  const std::vector<std::string> names = {"localhost", "kubernetes", "kubernetes.default",
                                          instance.NodeName()};
  K3SAGA_ASSIGN_OR_RETURN(files.serving, EnsureLeaf(tls / "serving-kube-apiserver", files.server_ca,
                                                    {"kube-apiserver", "", names, addresses}));
  K3SAGA_ASSIGN_OR_RETURN(KeyPair admin, EnsureLeaf(tls / "client-admin", files.client_ca,
                                                    {"system:admin", "system:masters", {}, {}}));
  K3SAGA_ASSIGN_OR_RETURN(files.etcd_client,
                          EnsureLeaf(tls / "etcd/client", etcd_ca, {"etcd-client", "", {}, {}}));
  K3SAGA_RETURN_IF_ERROR(
      EnsureLeaf(tls / "etcd/server-client", etcd_ca, {"etcd-server", "", names, addresses}).status());
  K3SAGA_RETURN_IF_ERROR(
      EnsureLeaf(tls / "etcd/peer-server-client", peer_ca, {"etcd-peer", "", names, addresses}).status());
  K3SAGA_RETURN_IF_ERROR(EnsureLeaf(instance.DataDir() / "agent/serving-kubelet", files.server_ca,
                                    {instance.NodeName(), "", {instance.NodeName()}, addresses})
                             .status());

  K3SAGA_ASSIGN_OR_RETURN(std::string token, ReadFile(instance.DataDir() / "server/token"));
  files.token_secret = TokenSecret(std::string(absl::StripAsciiWhitespace(token)));
  const std::string kubeconfig = Kubeconfig(instance, files.server_ca.certificate, admin);
  K3SAGA_RETURN_IF_ERROR(WriteFile(instance.DataDir() / "server/cred/admin.kubeconfig", kubeconfig, 0600));
  const unsigned long mode =
      std::strtoul(instance.options.Text("write-kubeconfig-mode", "600").c_str(), nullptr, 8);
  K3SAGA_RETURN_IF_ERROR(WriteFile(
      instance.options.Text("write-kubeconfig", (instance.Root() / "etc/rancher/k3s/k3s.yaml").string()),
      kubeconfig, static_cast<unsigned>(mode)));
  return files;
}

absl::StatusOr<KeyPair> IssueKubelet(const ServerFiles& files, const std::string& node) {
  return SignLeaf(files.client_ca, {"system:node:" + node, "system:nodes", {}, {}});
}

}  // namespace k3saga::lab
