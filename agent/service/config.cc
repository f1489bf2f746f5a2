#include "agent/service/config.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>

#include "common/host/files.h"
#include "common/status_macros.h"
#include "common/tls/peer.h"
#include "common/yaml/section.h"

namespace k3saga::service {
namespace {

// "10.0.0.1:7440" or "[::]:7440"; port 0 takes a free one.
bool IsListenAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  int port = -1;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port)) return false;
  if (port < 0 || port > 65535) return false;
  std::string host = text.substr(0, colon);
  in6_addr address{};
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    return inet_pton(AF_INET6, host.c_str(), &address) == 1;
  }
  return inet_pton(AF_INET, host.c_str(), &address) == 1;
}

std::string Address(yaml::Section& section, std::string_view key, const std::string& fallback) {
  std::string address = section.Text(key, fallback);
  if (!address.empty() && !IsListenAddress(address)) {
    section.AddProblem(key, absl::StrCat("expected ADDRESS:PORT (\"0.0.0.0:7440\", \"[::]:7440\"), found \"",
                                         address, "\""));
  }
  return address;
}

std::string AbsolutePath(yaml::Section& section, std::string_view key, const std::string& fallback) {
  std::string path =
      fallback.empty() ? section.RequiredText(key, "an absolute path") : section.Text(key, fallback);
  if (!path.empty() && path.front() != '/') {
    section.AddProblem(key, absl::StrCat("expected an absolute path, found \"", path, "\""));
  }
  return path;
}

void ReadHost(yaml::Section section, AgentConfig& config) {
  node::HostPaths& host = config.host;
  host.root = AbsolutePath(section, "root", host.root);
  host.systemctl = AbsolutePath(section, "systemctl", host.systemctl);
  host.systemd_run = AbsolutePath(section, "systemd_run", host.systemd_run);
  host.journalctl = AbsolutePath(section, "journalctl", host.journalctl);
  config.etcd = Address(section, "etcd", config.etcd);
  (void)section.Text("etcd_metrics");
  config.kubelet_health = section.Text("kubelet_health", config.kubelet_health);
  if (!absl::StartsWith(config.kubelet_health, "http://")) {
    section.AddProblem("kubelet_health",
                       absl::StrCat("expected http://..., found \"", config.kubelet_health, "\""));
  }
  section.Finish();
}

}  // namespace

std::string AgentConfig::JournalFile() const { return JoinPath(state.state, "journal.db"); }
std::string AgentConfig::OperationLockFile() const { return JoinPath(state.state, "operation.lock"); }

absl::StatusOr<AgentConfig> ParseAgentConfig(const std::string& text, const std::string& file) {
  AgentConfig config;
  config.file = file;
  yaml::Problems problems(file);
  yaml::Section top(yaml::ParseDocument(text, &problems), "", &problems);
  config.node = top.RequiredText("node", "this node's name, as cluster.yaml has it");
  if (!config.node.empty()) {
    const absl::Status name = tls::CheckNodeName(config.node);
    if (!name.ok()) top.AddProblem("node", std::string(name.message()));
  }
  config.listen = Address(top, "listen", config.listen);
  config.metrics = Address(top, "metrics", config.metrics);
  yaml::Section identity = top.Child("identity");
  config.identity.ca = AbsolutePath(identity, "ca", "/etc/k3saga/ca.crt");
  config.identity.certificate = AbsolutePath(identity, "certificate", "/etc/k3saga/agent.crt");
  config.identity.key = AbsolutePath(identity, "key", "/etc/k3saga/agent.key");
  identity.Finish();
  config.state.state = AbsolutePath(top, "state", config.state.state);
  ReadHost(top.Child("host"), config);
  top.Finish();
  K3SAGA_RETURN_IF_ERROR(problems.ToStatus());
  return config;
}

absl::StatusOr<AgentConfig> LoadAgentConfig(const std::string& file) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, 1 << 20));
  return ParseAgentConfig(text, file);
}

}  // namespace k3saga::service
