#include "tests/unit/node/wild_node_parts.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

namespace k3saga::node::wild {

std::string TodaysUnit(const std::vector<std::string>& flags, const std::string& command,
                       const std::string& unit, const std::string& type, const std::string& bin) {
  std::string lines;
  for (const std::string& flag : flags) absl::StrAppend(&lines, "\t", flag, " \\\n");
  return absl::StrCat(R"([Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=)",
                      type, R"(
EnvironmentFile=-@ROOT@/etc/default/%N
EnvironmentFile=-@ROOT@/etc/sysconfig/%N
EnvironmentFile=-@ROOT@/etc/systemd/system/)",
                      unit, R"(.service.env
KillMode=process
Delegate=yes
User=root
# Having non-zero Limit*s causes performance problems due to accounting overhead
# in the kernel. We recommend using cgroups to do container-local accounting.
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=)",
                      bin, "/k3s \\\n    ", command, " \\\n", lines, "\n");
}

std::string UnitOf2020(const std::vector<std::string>& flags, const std::string& command,
                       const std::string& unit) {
  std::string text = TodaysUnit(flags, command, unit, command == "server" ? "notify" : "exec");
  text = absl::StrReplaceAll(text,
                             {{"EnvironmentFile=-@ROOT@/etc/default/%N\n", ""},
                              {"EnvironmentFile=-@ROOT@/etc/sysconfig/%N\n", ""},
                              {"EnvironmentFile=-@ROOT@/etc/systemd", "EnvironmentFile=@ROOT@/etc/systemd"},
                              {"User=root\n", ""},
                              {"LimitNOFILE=1048576", "LimitNOFILE=infinity"}});
  return text;
}

WildNode Server(std::string name, const std::vector<std::string>& flags, std::vector<std::string> arguments) {
  WildNode node;
  node.name = std::move(name);
  node.files = {{kServer, TodaysUnit(flags)}, {kServerEnvironment, ""}};
  node.arguments = std::move(arguments);
  return node;
}

WildNode WithEnvironment(WildNode node, const std::string& text,
                         std::map<std::string, std::string> environment) {
  for (WildNode::File& file : node.files) {
    if (file.path.ends_with(".env")) file.text = text;
  }
  node.environment = std::move(environment);
  return node;
}

WildNode Agent(std::string name, const std::vector<std::string>& flags, std::vector<std::string> arguments) {
  WildNode node;
  node.name = std::move(name);
  node.unit = "k3s-agent.service";
  node.role = v1::ROLE_WORKER;
  node.files = {{kAgent, TodaysUnit(flags, "agent", "k3s-agent")},
                {kAgentEnvironment, "K3S_TOKEN='K10abc::server:secret'\nK3S_URL='https://10.0.0.1:6443'\n"}};
  node.environment = {{"K3S_TOKEN", "K10abc::server:secret"}, {"K3S_URL", "https://10.0.0.1:6443"}};
  node.arguments = std::move(arguments);
  return node;
}

WildNode Etcd(WildNode node) {
  node.datastore = v1::DATASTORE_EMBEDDED_ETCD;
  node.runs_etcd = true;
  return node;
}

}  // namespace k3saga::node::wild
