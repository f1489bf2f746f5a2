#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

#include "common/host/files.h"
#include "common/status_macros.h"
#include "common/tls/identity.h"
#include "common/yaml/values.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/config/address.h"
#include "coordinator/config/starter.h"
#include "coordinator/journal/writer_lock.h"

namespace k3saga::cli {
namespace {

constexpr int kAuthorityDays = 3650;
constexpr int kLeafDays = 1095;
constexpr char kIdentityFolder[] = "identity";

int64_t Now(const Context& context) { return context.clock.WallUnixMillis() / 1000; }

// "s1=server@10.0.0.11"
absl::StatusOr<config::StarterNode> ParseNode(const std::string& text) {
  const size_t equals = text.find('=');
  const size_t at = text.find('@', equals == std::string::npos ? 0 : equals);
  if (equals == std::string::npos || at == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("--node ", text, ": expected NAME=ROLE@ADDRESS, such as s1=server@10.0.0.11"));
  }
  config::StarterNode node;
  node.name = text.substr(0, equals);
  const std::string role = text.substr(equals + 1, at - equals - 1);
  node.address = text.substr(at + 1);
  K3SAGA_RETURN_IF_ERROR(tls::CheckNodeName(node.name));
  K3SAGA_RETURN_IF_ERROR(config::AgentTarget(node.address).status());
  if (role != "server" && role != "worker") {
    return absl::InvalidArgumentError(
        absl::StrCat("--node ", text, ": expected server or worker, found \"", role, "\""));
  }
  node.role = role == "server" ? v1::ROLE_SERVER : v1::ROLE_WORKER;
  return node;
}

// The authority beside the file: the one that is there, or a new one.
absl::StatusOr<tls::CertificateAndKey> UseAuthority(const std::string& cluster, const std::string& folder,
                                                    int64_t now) {
  const std::string certificate = JoinPath(folder, "ca.crt");
  const std::string key = JoinPath(folder, "ca.key");
  if (Exists(certificate) || Exists(key)) return tls::LoadAuthority(certificate, key);
  K3SAGA_ASSIGN_OR_RETURN(tls::CertificateAndKey authority,
                          tls::CreateAuthority(cluster, now, kAuthorityDays));
  K3SAGA_RETURN_IF_ERROR(tls::WriteCertificateAndKey(authority, certificate, key));
  return authority;
}

absl::Status WriteIdentity(const tls::CertificateAndKey& authority, const tls::Peer& peer,
                           const std::string& folder, const std::string& name, int64_t now) {
  K3SAGA_ASSIGN_OR_RETURN(tls::CertificateAndKey issued, tls::Issue(authority, peer, now, kLeafDays));
  return tls::WriteCertificateAndKey(issued, JoinPath(folder, name + ".crt"),
                                     JoinPath(folder, name + ".key"));
}

// The user's name, as far as it may stand in a certificate.
std::string WhoAmI() {
  std::string who = journal::ThisProcess().who;
  who = who.substr(0, who.rfind(':'));
  return tls::CheckPeer({"any", tls::PeerRole::kCoordinator, who}).ok() ? who : "coordinator";
}

std::string FolderOf(const std::string& path) {
  return path.find('/') == std::string::npos ? "." : DirName(path);
}

absl::Status Init(const InitCommand& command, const Context& context) {
  K3SAGA_RETURN_IF_ERROR(tls::CheckClusterName(command.name));
  std::vector<config::StarterNode> nodes;
  for (const std::string& text : command.nodes) {
    K3SAGA_ASSIGN_OR_RETURN(config::StarterNode node, ParseNode(text));
    nodes.push_back(std::move(node));
  }
  if (Exists(context.cluster_file)) {
    return absl::AlreadyExistsError(
        absl::StrCat(context.cluster_file, ": is there already; not overwritten"));
  }
  const std::string folder = JoinPath(FolderOf(context.cluster_file), kIdentityFolder);
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder, 0700));
  K3SAGA_ASSIGN_OR_RETURN(tls::CertificateAndKey authority, UseAuthority(command.name, folder, Now(context)));
  if (!Exists(JoinPath(folder, "coordinator.crt"))) {
    K3SAGA_RETURN_IF_ERROR(WriteIdentity(authority, {command.name, tls::PeerRole::kCoordinator, WhoAmI()},
                                         folder, "coordinator", Now(context)));
  }
  const std::string text = config::StarterClusterFile(command.name, nodes, kIdentityFolder);
  auto parsed = config::ParseClusterFile(text, context.cluster_file,
                                         [](const std::string& path) { return Exists(path); });
  if (!parsed.ok()) return parsed.status();  // such as a node that was given twice
  return WriteFileDurably(context.cluster_file, text, {.mode = 0644});
}

// Writes NAME.crt, NAME.key and the authority's certificate into a folder that can be carried to where it is
// used.
absl::StatusOr<std::string> IssueBundle(const Context& context, const config::ClusterFile& file,
                                        const tls::Peer& peer, const std::string& out,
                                        const std::string& name) {
  const std::string identity = FolderOf(file.identity.ca);
  K3SAGA_ASSIGN_OR_RETURN(tls::CertificateAndKey authority,
                          tls::LoadAuthority(file.identity.ca, JoinPath(identity, "ca.key")));
  const std::string folder = out.empty() ? JoinPath(identity, peer.name) : out;
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder, 0700));
  K3SAGA_RETURN_IF_ERROR(WriteIdentity(authority, peer, folder, name, Now(context)));
  if (!Exists(JoinPath(folder, "ca.crt"))) {
    K3SAGA_RETURN_IF_ERROR(tls::WriteCertificate(authority.certificate_pem, JoinPath(folder, "ca.crt")));
  }
  return folder;
}

}  // namespace

ExitCode Run(const InitCommand& command, const Context& context) {
  if (absl::Status status = Init(command, context); !status.ok()) return InputError(context, status);
  const std::string folder = JoinPath(FolderOf(context.cluster_file), kIdentityFolder);
  context.console.Out(absl::StrCat(
      "Wrote ", context.cluster_file, " and, in ", folder, ", the cluster's authority and your identity.\n",
      "Keep ", folder, "/ca.key safe: whoever has it can upgrade, and break, this cluster.\n\nNext:\n"));
  if (command.nodes.empty())
    context.console.Out(absl::StrCat("  list your nodes in ", context.cluster_file, "\n"));
  context.console.Out(
      "  k3saga identity agent NODE     for every node; carry its folder to the node as /etc/k3saga\n"
      "  k3saga nodes                   once the agents run\n");
  return ExitCode::kDone;
}

ExitCode Run(const IssueAgentCommand& command, const Context& context) {
  auto file = config::LoadClusterFile(context.cluster_file);
  if (!file.ok()) return InputError(context, file.status());
  std::vector<std::string> names;
  for (const config::ClusterNode& node : file->nodes) names.push_back(node.name);
  if (std::find(names.begin(), names.end(), command.node) == names.end()) {
    const std::optional<std::string> meant = yaml::ClosestWord(command.node, names);
    return InputError(context,
                      absl::NotFoundError(absl::StrCat(
                          command.node, ": is no node of ", file->path,
                          meant ? absl::StrCat("; did you mean ", *meant, "?") : "; add it there first")));
  }
  auto folder =
      IssueBundle(context, *file, {file->name, tls::PeerRole::kAgent, command.node}, command.out, "agent");
  if (!folder.ok()) return InputError(context, folder.status());
  context.console.Out(absl::StrCat("Wrote ca.crt, agent.crt and agent.key to ", *folder, ". Carry them to ",
                                   command.node, " as /etc/k3saga/, owned by root.\n"));
  return ExitCode::kDone;
}

ExitCode Run(const IssueCoordinatorCommand& command, const Context& context) {
  auto file = config::LoadClusterFile(context.cluster_file);
  if (!file.ok()) return InputError(context, file.status());
  auto folder = IssueBundle(context, *file, {file->name, tls::PeerRole::kCoordinator, command.name},
                            command.out, "coordinator");
  if (!folder.ok()) return InputError(context, folder.status());
  context.console.Out(absl::StrCat("Wrote ca.crt, coordinator.crt and coordinator.key to ", *folder, ".\n"));
  return ExitCode::kDone;
}

}  // namespace k3saga::cli
