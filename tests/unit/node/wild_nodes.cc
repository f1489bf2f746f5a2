#include "tests/unit/node/wild_nodes.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>

namespace k3saga::node {
namespace {

using Files = std::vector<WildNode::File>;

// As install.sh of today writes it; `flags` are lines as they stand in the unit, quotes and all.
std::string TodaysUnit(const std::vector<std::string>& flags, const std::string& command = "server",
                       const std::string& unit = "k3s", const std::string& type = "notify",
                       const std::string& bin = "@ROOT@/usr/local/bin") {
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

// As install.sh wrote it for 1.16 to 1.21: the environment file is no option, agents are Type=exec.
std::string UnitOf2020(const std::vector<std::string>& flags, const std::string& command = "server",
                       const std::string& unit = "k3s") {
  std::string text = TodaysUnit(flags, command, unit, command == "server" ? "notify" : "exec");
  text = absl::StrReplaceAll(text,
                             {{"EnvironmentFile=-@ROOT@/etc/default/%N\n", ""},
                              {"EnvironmentFile=-@ROOT@/etc/sysconfig/%N\n", ""},
                              {"EnvironmentFile=-@ROOT@/etc/systemd", "EnvironmentFile=@ROOT@/etc/systemd"},
                              {"User=root\n", ""},
                              {"LimitNOFILE=1048576", "LimitNOFILE=infinity"}});
  return text;
}

constexpr char kServer[] = "etc/systemd/system/k3s.service";
constexpr char kServerEnvironment[] = "etc/systemd/system/k3s.service.env";
constexpr char kAgent[] = "etc/systemd/system/k3s-agent.service";
constexpr char kAgentEnvironment[] = "etc/systemd/system/k3s-agent.service.env";
constexpr char kConfig[] = "etc/rancher/k3s/config.yaml";

// A server whose unit has these flag lines and reads as these arguments.
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

// ---- the usual ----

void AddUsual(std::vector<WildNode>* nodes) {
  WildNode plain = Server("PlainServer", {}, {});
  plain.exec = "server";
  plain.given = {{"INSTALL_K3S_BIN_DIR", "@ROOT@/usr/local/bin"},
                 {"INSTALL_K3S_SYSTEMD_DIR", "@ROOT@/etc/systemd/system"},
                 {"INSTALL_K3S_TYPE", "notify"}};
  plain.not_given = {"INSTALL_K3S_NAME", "INSTALL_K3S_SYMLINK", "INSTALL_K3S_SKIP_ENABLE", "K3S_TOKEN"};
  nodes->push_back(plain);

  // A worker whose variables are not repeated loses its server; with no command it would become one.
  WildNode agent = Agent("PlainAgent", {}, {});
  agent.exec = "agent";
  agent.given = {{"K3S_TOKEN", "K10abc::server:secret"}, {"K3S_URL", "https://10.0.0.1:6443"}};
  agent.facts = {{"K3S_TOKEN", "***"}, {"K3S_URL", "https://10.0.0.1:6443"}};
  nodes->push_back(agent);

  WildNode first = Etcd(Server("ClusterInit", {"'--cluster-init'", "'--disable'", "'traefik'"},
                               {"--cluster-init", "--disable", "traefik"}));
  first.exec = "server --cluster-init --disable traefik";
  first.facts = {{"--cluster-init", "true"}, {"--disable", "traefik"}};
  nodes->push_back(first);

  WildNode joined =
      Etcd(Server("JoinedByFlagWithToken", {"'--server=https://10.0.0.1:6443'", "'--token'", "'K10secret'"},
                  {"--server=https://10.0.0.1:6443", "--token", "K10secret"}));
  joined.facts = {{"--token", "***"}, {"--server", "https://10.0.0.1:6443"}};
  nodes->push_back(joined);

  nodes->push_back(Etcd(WithEnvironment(Server("JoinedByVariable", {}, {}),
                                        "K3S_URL='https://10.0.0.1:6443'\nK3S_TOKEN='K10s'\n",
                                        {{"K3S_URL", "https://10.0.0.1:6443"}, {"K3S_TOKEN", "K10s"}})));

  // --cluster-init is only looked at once; the database that is there counts.
  WildNode existing = Etcd(Server("EtcdFromItsFolder", {}, {}));
  existing.files.push_back({"var/lib/rancher/k3s/server/db/etcd/name", "s1-1234"});
  nodes->push_back(existing);

  WildNode repeated = Server(
      "RepeatedFlags", {"'--disable=traefik'", "'--disable=servicelb'", "'--tls-san=a'", "'--tls-san=b'"},
      {"--disable=traefik", "--disable=servicelb", "--tls-san=a", "--tls-san=b"});
  repeated.facts = {{"--disable", "servicelb"}, {"--tls-san", "a"}};
  nodes->push_back(repeated);

  WildNode switched_off = Server("NotEnabledAtBoot", {}, {});
  switched_off.enabled = false;
  switched_off.given = {{"INSTALL_K3S_SKIP_ENABLE", "true"}};
  nodes->push_back(switched_off);

  WildNode no_links = Server("InstalledWithoutSymlinks", {}, {});
  no_links.with_links = false;
  no_links.given = {{"INSTALL_K3S_SYMLINK", "skip"}};
  nodes->push_back(no_links);

  WildNode token_file =
      Agent("TokenFile", {"'--token-file'", "'/etc/k3s-token'"}, {"--token-file", "/etc/k3s-token"});
  token_file.facts = {{"--token-file", "/etc/k3s-token"}};
  nodes->push_back(token_file);

  nodes->push_back(
      Server("OneDashLikeGo", {"-disable", "traefik", "-t", "abcd"}, {"-disable", "traefik", "-t", "abcd"}));
  nodes->back().facts = {{"--disable", "traefik"}, {"--token", "***"}};
}

// ---- what serves what ----

void AddDatastoresAndRoles(std::vector<WildNode>* nodes) {
  WildNode mysql = Server("ExternalMysql", {"'--datastore-endpoint=mysql://k3s:pa$$ss@tcp(db:3306)/k3s'"},
                          {"--datastore-endpoint=mysql://k3s:pa$ss@tcp(db:3306)/k3s"});
  mysql.datastore = v1::DATASTORE_EXTERNAL;
  mysql.facts = {{"--datastore-endpoint", "***"}};
  nodes->push_back(mysql);

  WildNode postgres = WithEnvironment(Server("ExternalPostgresByVariable", {}, {}),
                                      "K3S_DATASTORE_ENDPOINT='postgres://u:p@db:5432/k3s'\n",
                                      {{"K3S_DATASTORE_ENDPOINT", "postgres://u:p@db:5432/k3s"}});
  postgres.datastore = v1::DATASTORE_EXTERNAL;
  nodes->push_back(postgres);

  nodes->push_back(Server("SqliteSpelledOut", {"'--datastore-endpoint=sqlite:///var/lib/k3s.db'"},
                          {"--datastore-endpoint=sqlite:///var/lib/k3s.db"}));

  WildNode control_plane =
      Server("ControlPlaneOnly", {"'--disable-etcd'", "'--server'", "'https://10.0.0.9:6443'"},
             {"--disable-etcd", "--server", "https://10.0.0.9:6443"});
  control_plane.datastore = v1::DATASTORE_EMBEDDED_ETCD;
  nodes->push_back(control_plane);

  WildNode etcd_only = Etcd(Server(
      "EtcdOnly",
      {"'--cluster-init'", "'--disable-apiserver'", "'--disable-controller-manager'",
       "'--disable-scheduler'"},
      {"--cluster-init", "--disable-apiserver", "--disable-controller-manager", "--disable-scheduler"}));
  etcd_only.runs_apiserver = false;
  nodes->push_back(etcd_only);

  WildNode agentless = Etcd(Server("ServerWithoutKubelet", {"'--cluster-init'", "'--disable-agent'"},
                                   {"--cluster-init", "--disable-agent"}));
  agentless.runs_kubelet = false;
  nodes->push_back(agentless);
}

// ---- names, folders, ages ----

void AddNamesAndAges(std::vector<WildNode>* nodes) {
  WildNode named = Server("NamedServer", {}, {});
  named.unit = "k3s-main.service";
  named.files = {{"etc/systemd/system/k3s-main.service", TodaysUnit({}, "server", "k3s-main")},
                 {"etc/systemd/system/k3s-main.service.env", "K3S_TOKEN='t0ken'\n"}};
  named.environment = {{"K3S_TOKEN", "t0ken"}};
  named.given = {{"INSTALL_K3S_NAME", "main"}};
  nodes->push_back(named);

  // "k3s-worker" is a server here: the name says nothing.
  WildNode misleading = Etcd(Server("ServerNamedWorker", {"'--cluster-init'"}, {"--cluster-init"}));
  misleading.unit = "k3s-worker.service";
  misleading.files = {
      {"etc/systemd/system/k3s-worker.service", TodaysUnit({"'--cluster-init'"}, "server", "k3s-worker")}};
  misleading.given = {{"INSTALL_K3S_NAME", "worker"}};
  nodes->push_back(misleading);

  WildNode edge = Agent("NamedAgent", {}, {});
  edge.unit = "k3s-edge.service";
  edge.files = {{"etc/systemd/system/k3s-edge.service", TodaysUnit({}, "agent", "k3s-edge")},
                {"etc/systemd/system/k3s-edge.service.env",
                 "K3S_TOKEN=K10abc::server:secret\nK3S_URL=https://10.0.0.1:6443\n"}};
  edge.given = {{"INSTALL_K3S_NAME", "edge"}};
  edge.exec = "agent";
  nodes->push_back(edge);

  WildNode opt = Server("OtherBinFolder", {}, {});
  opt.files[0].text = TodaysUnit({}, "server", "k3s", "notify", "@ROOT@/opt/k3s/bin");
  opt.given = {{"INSTALL_K3S_BIN_DIR", "@ROOT@/opt/k3s/bin"}};
  nodes->push_back(opt);

  WildNode vendor = Server("UnitOfADistribution", {}, {});
  vendor.files = {{"usr/lib/systemd/system/k3s.service",
                   absl::StrReplaceAll(TodaysUnit({}), {{"etc/systemd/system", "usr/lib/systemd/system"}})},
                  {"usr/lib/systemd/system/k3s.service.env", "K3S_TOKEN=abcd\n"}};
  vendor.environment = {{"K3S_TOKEN", "abcd"}};
  vendor.given = {{"INSTALL_K3S_SYSTEMD_DIR", "@ROOT@/usr/lib/systemd/system"}};
  nodes->push_back(vendor);

  WildNode old_server = Etcd(Server("InstalledIn2020", {"'--cluster-init'"}, {"--cluster-init"}));
  old_server.files = {{kServer, UnitOf2020({"'--cluster-init'"})},
                      {kServerEnvironment, "K3S_TOKEN=a b#c\nhttp_proxy=http://p:3128\n"}};
  old_server.environment = {{"K3S_TOKEN", "a b#c"}, {"http_proxy", "http://p:3128"}};
  old_server.given = {{"K3S_TOKEN", "a b#c"}, {"http_proxy", "http://p:3128"}};
  nodes->push_back(old_server);

  // Today's installer would make it Type=notify.
  WildNode old_agent =
      Agent("AgentInstalledIn2020", {"'--node-label'", "'rack=4'"}, {"--node-label", "rack=4"});
  old_agent.files[0].text = UnitOf2020({"'--node-label'", "'rack=4'"}, "agent", "k3s-agent");
  old_agent.given = {{"INSTALL_K3S_TYPE", "exec"}};
  nodes->push_back(old_agent);

  WildNode ancient = Server("InstalledIn2019", {}, {"--no-deploy", "traefik"});
  ancient.files = {{kServer, R"([Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
After=network-online.target

[Service]
Type=notify
EnvironmentFile=@ROOT@/etc/systemd/system/k3s.service.env
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=@ROOT@/usr/local/bin/k3s server --no-deploy traefik
KillMode=process
Delegate=yes
LimitNOFILE=infinity
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0

[Install]
WantedBy=multi-user.target
)"},
                   {kServerEnvironment, ""}};
  ancient.facts = {{"--disable", "traefik"}};
  nodes->push_back(ancient);

  WildNode cloud = Server("PreStartOfCloudImages", {}, {});
  cloud.files[0].text = absl::StrReplaceAll(
      TodaysUnit({}),
      {{"ExecStartPre=-/sbin/modprobe br_netfilter",
        "ExecStartPre=/bin/sh -xc '! /usr/bin/systemctl is-enabled --quiet nm-cloud-setup.service'\n"
        "ExecStartPre=-/sbin/modprobe br_netfilter"}});
  nodes->push_back(cloud);
}

// ---- quotes, blanks, percent signs ----

void AddDifficultWords(std::vector<WildNode>* nodes) {
  nodes->push_back(Server("BlankInAFlag", {"'--kubelet-arg=feature-gates=A=true, B=false'"},
                          {"--kubelet-arg=feature-gates=A=true, B=false"}));
  nodes->push_back(
      Server("SeveralBlanksInAFlag", {R"('--node-label=note=a\x20 \x20b')"}, {"--node-label=note=a   b"}));
  nodes->push_back(Server("TabInAFlag", {R"("--node-label=note=a\tb")"}, {"--node-label=note=a\tb"}));
  nodes->push_back(
      Server("SingleQuoteInAFlag", {R"('--node-label=who=it'\''s')"}, {"--node-label=who=it's"}));
  nodes->push_back(Server("DoubleQuotesInAFlag", {R"('--kube-apiserver-arg=x="y z"')"},
                          {R"(--kube-apiserver-arg=x="y z")"}));
  nodes->push_back(Server("DoubleQuotedByHand", {R"("--node-label=a=\"b\"")"}, {R"(--node-label=a="b")"}));

  // Installers do not double percent signs: what stands doubled has to be written doubled again.
  WildNode percent = Server("PercentSign", {"'--kubelet-arg=eviction-hard=memory.available<5%%'"},
                            {"--kubelet-arg=eviction-hard=memory.available<5%"});
  percent.exec = "server --kubelet-arg=eviction-hard=memory.available<5%%";
  nodes->push_back(percent);

  WildNode specifier = Server("Specifier", {"'--node-label=unit=%N'"}, {"--node-label=unit=k3s"});
  specifier.exec = "server --node-label=unit=%N";
  nodes->push_back(specifier);

  nodes->push_back(Server("DollarSign", {"'--kube-apiserver-arg=re=a$$'"}, {"--kube-apiserver-arg=re=a$"}));
  nodes->push_back(
      Server("Backslash", {R"('--kube-apiserver-arg=re=\\.x\\\\')"}, {R"(--kube-apiserver-arg=re=\.x\\)"}));
  nodes->push_back(Server("ShellCharacters", {R"('--node-label=a=~b;c|d&e>f<g(h)[i]{j}*k?l!m#n`o^p')"},
                          {"--node-label=a=~b;c|d&e>f<g(h)[i]{j}*k?l!m#n`o^p"}));
  nodes->push_back(Server("TildeFirst", {"'--private-registry'", "'~root/registries.yaml'"},
                          {"--private-registry", "~root/registries.yaml"}));
  nodes->push_back(Server("EmptyValue", {"'--node-taint'", "''"}, {"--node-taint", ""}));
  nodes->push_back(Server("NotAscii", {"'--node-label=ort=Köln'"}, {"--node-label=ort=Köln"}));

  WildNode comments =
      Server("CommentsBetweenFlags", {}, {"--disable", "traefik", "--flannel-backend", "host-gw"});
  comments.files[0].text = absl::StrReplaceAll(TodaysUnit({}), {{"    server \\\n",
                                                                 "    server \\\n"
                                                                 "  --disable traefik \\\n"
                                                                 "# --disable servicelb \\\n"
                                                                 "; no longer\n"
                                                                 "  --flannel-backend host-gw\n"}});
  nodes->push_back(comments);

  WildNode windows = Server("LinesOfWindows", {"'--disable=traefik'"}, {"--disable=traefik"});
  windows.files[0].text = absl::StrReplaceAll(windows.files[0].text, {{"\n", "\r\n"}});
  nodes->push_back(windows);
}

// ---- flags and variables split over files ----

void AddSplitConfigurations(std::vector<WildNode>* nodes) {
  WildNode variable = Server("VariableInAFlag", {"'--node-ip=${NODE_IP}'"}, {"--node-ip=10.0.0.5"});
  variable.files.push_back({"etc/default/k3s", "NODE_IP=10.0.0.5\n"});
  variable.environment = {{"NODE_IP", "10.0.0.5"}};
  variable.exec = "server --node-ip=${NODE_IP}";
  variable.not_given = {"NODE_IP"};
  nodes->push_back(variable);

  WildNode words =
      Etcd(Server("FlagsInAVariable", {"$SERVER_FLAGS"}, {"--cluster-init", "--disable", "traefik"}));
  words.files.push_back({"etc/default/k3s", "SERVER_FLAGS=\"--cluster-init --disable traefik\"\n"});
  words.environment = {{"SERVER_FLAGS", "--cluster-init --disable traefik"}};
  words.exec = "server $SERVER_FLAGS";
  nodes->push_back(words);

  // What stands in /etc/default stays there: given to the installer it would be written a second time.
  WildNode defaults = Agent("TokenInEtcDefault", {}, {});
  defaults.files[1].text = "";
  defaults.files.push_back(
      {"etc/default/k3s-agent", "# kept by hand\nK3S_TOKEN=K10d\nK3S_URL=https://lb:6443\n"});
  defaults.environment = {{"K3S_TOKEN", "K10d"}, {"K3S_URL", "https://lb:6443"}};
  defaults.exec = "agent";
  defaults.not_given = {"K3S_TOKEN", "K3S_URL"};
  nodes->push_back(defaults);

  // Both files set it; the installer's comes last and wins.
  WildNode both =
      WithEnvironment(Server("SetInBothFiles", {}, {}), "K3S_NODE_NAME=last\n", {{"K3S_NODE_NAME", "last"}});
  both.files.push_back({"etc/default/k3s", "K3S_NODE_NAME=first\n"});
  both.node_name = "last";
  nodes->push_back(both);

  WildNode drop_in = Etcd(Server("DropInReplacesTheCommand", {"'--disable=traefik'"}, {"--cluster-init"}));
  drop_in.files.push_back(
      {"etc/systemd/system/k3s.service.d/override.conf",
       "[Service]\nExecStart=\nExecStart=@ROOT@/usr/local/bin/k3s server --cluster-init\n"});
  drop_in.exec = "server --disable=traefik";
  nodes->push_back(drop_in);

  WildNode proxy = Server("DropInWithProxies", {}, {});
  proxy.files.push_back(
      {"etc/systemd/system/k3s.service.d/10-proxy.conf",
       "[Service]\nEnvironment=\"HTTPS_PROXY=http://u:p@proxy:3128\" NO_PROXY=10.0.0.0/8\n"});
  proxy.environment = {{"HTTPS_PROXY", "http://u:p@proxy:3128"}, {"NO_PROXY", "10.0.0.0/8"}};
  proxy.facts = {{"HTTPS_PROXY", "http://***@proxy:3128"}};
  proxy.not_given = {"HTTPS_PROXY", "NO_PROXY"};
  nodes->push_back(proxy);

  WildNode prefix = Server("DropInForAllUnitsOfThatPrefix", {}, {});
  prefix.unit = "k3s-main.service";
  prefix.files = {{"etc/systemd/system/k3s-main.service", TodaysUnit({}, "server", "k3s-main")},
                  {"etc/systemd/system/k3s-.service.d/a.conf", "[Service]\nEnvironment=A=1\n"},
                  {"etc/systemd/system/k3s-main.service.d/b.conf", "[Service]\nEnvironment=A=2\n"}};
  prefix.environment = {{"A", "2"}};
  nodes->push_back(prefix);

  // Only installers' own variables survive an installer; Environment= of the unit does not.
  WildNode in_unit = Server("EnvironmentInTheUnitItself", {}, {});
  in_unit.files[0].text = absl::StrReplaceAll(
      TodaysUnit({}), {{"KillMode=", "Environment=\"K3S_TOKEN=abc def\" GODEBUG=netdns=go\nKillMode="}});
  in_unit.environment = {{"K3S_TOKEN", "abc def"}, {"GODEBUG", "netdns=go"}};
  in_unit.given = {{"K3S_TOKEN", "abc def"}};
  in_unit.not_given = {"GODEBUG"};
  nodes->push_back(in_unit);

  WildNode config = Etcd(Server("FlagsInConfigYaml", {}, {}));
  config.files.push_back(
      {kConfig, "cluster-init: true\ndata-dir: /data/k3s/\nnode-name: s1\ntoken: secret\n"});
  config.data_dir = "/data/k3s";
  config.node_name = "s1";
  config.facts = {{"token", "***"}, {"cluster-init", "true"}};
  config.exec = "server";
  nodes->push_back(config);

  WildNode merged = Etcd(Server("ConfigYamlAndItsFolder", {"'--node-name=flag'"}, {"--node-name=flag"}));
  merged.files.push_back({kConfig, "node-name: config\ntls-san: [a, b]\ncluster-init: false\n"});
  merged.files.push_back(
      {"etc/rancher/k3s/config.yaml.d/10-more.yaml", "tls-san+: [c]\nserver: https://one:6443\n"});
  merged.files.push_back(
      {"etc/rancher/k3s/config.yaml.d/20-last.YML", "cluster-init: true\nserver: https://two:6443\n"});
  merged.files.push_back({"etc/rancher/k3s/config.yaml.d/30-not-read.txt", "server: https://three:6443\n"});
  merged.node_name = "flag";
  merged.facts = {{"tls-san", "c"}, {"server", "https://two:6443"}, {"cluster-init", "true"}};
  nodes->push_back(merged);

  WildNode own = Etcd(Server("ConfigElsewhere", {"'--config'", "'@ROOT@/etc/own.yaml'"},
                             {"--config", "@ROOT@/etc/own.yaml"}));
  own.files.push_back({"etc/own.yaml", "cluster-init: true\n"});
  own.files.push_back({kConfig, "datastore-endpoint: mysql://not-read\n"});
  nodes->push_back(own);

  WildNode by_variable =
      Etcd(WithEnvironment(Server("ConfigByVariable", {}, {}), "K3S_CONFIG_FILE='@ROOT@/etc/v.yaml'\n",
                           {{"K3S_CONFIG_FILE", "@ROOT@/etc/v.yaml"}}));
  by_variable.files.push_back({"etc/v.yaml", "cluster-init: true\ndata-dir: /v\n"});
  by_variable.data_dir = "/v";
  nodes->push_back(by_variable);

  nodes->push_back(Server("DataDirByItsShortName", {"-d", "/mnt/k3s"}, {"-d", "/mnt/k3s"}));
  nodes->back().data_dir = "/mnt/k3s";
}

// ---- environment files ----

void AddEnvironmentFiles(std::vector<WildNode>* nodes) {
  WildNode proxies = WithEnvironment(Server("ProxiesOfAllSpellings", {}, {}),
                                     "HTTP_PROXY='http://proxy:3128'\nhttps_proxy=\"http://"
                                     "proxy:3128\"\nNO_PROXY=127.0.0.0/8,10.0.0.0/8,.svc\n",
                                     {{"HTTP_PROXY", "http://proxy:3128"},
                                      {"https_proxy", "http://proxy:3128"},
                                      {"NO_PROXY", "127.0.0.0/8,10.0.0.0/8,.svc"}});
  proxies.given = proxies.environment;
  nodes->push_back(proxies);

  // k3s-ansible and others write there; an installer drops what is not K3S_, CONTAINERD_ or a proxy.
  WildNode foreign = WithEnvironment(
      Server("ForeignVariables", {}, {}), "AWS_SECRET_ACCESS_KEY=hush\nGOGC=50\nK3S_TOKEN=abcd\n",
      {{"AWS_SECRET_ACCESS_KEY", "hush"}, {"GOGC", "50"}, {"K3S_TOKEN", "abcd"}});
  foreign.facts = {{"AWS_SECRET_ACCESS_KEY", "***"}, {"GOGC", "50"}};
  foreign.not_given = {"AWS_SECRET_ACCESS_KEY", "GOGC"};
  nodes->push_back(foreign);

  // The installer's `read` and `echo` eat these.
  nodes->push_back(WithEnvironment(Server("BackslashesAndBlanksInAVariable", {}, {}),
                                   "K3S_TOKEN='a\\b  c\\\\d'\n", {{"K3S_TOKEN", "a\\b  c\\\\d"}}));
  nodes->push_back(WithEnvironment(Server("QuotesInAVariable", {}, {}), "K3S_TOKEN='it'\"'\"'s \"q\"'\n",
                                   {{"K3S_TOKEN", "it's \"q\""}}));
  nodes->push_back(WithEnvironment(Server("DollarInAVariable", {}, {}), "K3S_TOKEN=\"a\\$b\\`c\"\n",
                                   {{"K3S_TOKEN", "a$b`c"}}));
  nodes->push_back(WithEnvironment(Server("ContainerdVariables", {}, {}),
                                   "CONTAINERD_HTTPS_PROXY=http://p:1\n",
                                   {{"CONTAINERD_HTTPS_PROXY", "http://p:1"}}));
  nodes->back().given = {{"CONTAINERD_HTTPS_PROXY", "http://p:1"}};
}

// ---- units that people wrote or edited ----

void AddHandMade(std::vector<WildNode>* nodes) {
  WildNode limits = Server("DirectivesAddedByHand", {}, {});
  limits.files[0].text = absl::StrReplaceAll(
      TodaysUnit({}), {{"LimitNOFILE=1048576", "LimitNOFILE=65536"},
                       {"Delegate=yes", "Delegate=yes\nCPUWeight=200"},
                       {"After=network-online.target", "After=network-online.target\nAfter=data.mount"}});
  limits.differences = {"Service/CPUWeight changed from \"200\" to (nothing)", "Service/LimitNOFILE",
                        "Unit/After"};
  nodes->push_back(limits);

  WildNode restart = Server("RestartPolicyChangedByHand", {}, {});
  restart.files[0].text = absl::StrReplaceAll(TodaysUnit({}), {{"Restart=always", "Restart=on-failure"}});
  restart.differences = {"Service/Restart changed from \"on-failure\" to (nothing)"};
  nodes->push_back(restart);

  // The same as a drop-in is nobody's loss.
  WildNode in_drop_in = Server("DirectivesInADropIn", {}, {});
  in_drop_in.files.push_back({"etc/systemd/system/k3s.service.d/limits.conf", "[Service]\nCPUWeight=200\n"});
  nodes->push_back(in_drop_in);

  WildNode shell = Etcd(Server("WrappedInAShell", {}, {"--cluster-init"}));
  shell.files = {{kServer,
                  "[Service]\nType=notify\nExecStart=/bin/sh -c 'exec @ROOT@/usr/local/bin/k3s server "
                  "--cluster-init'\n"}};
  shell.refused = "does not run `k3s server` directly";
  nodes->push_back(shell);

  WildNode minus = Server("FailureIgnored", {}, {});
  minus.files = {{kServer, "[Service]\nExecStart=-@ROOT@/usr/local/bin/k3s server\n"}};
  minus.refused = "directly";
  nodes->push_back(minus);

  WildNode misnamed = Agent("AgentInAUnitCalledK3s", {}, {});
  misnamed.unit = "k3s.service";
  misnamed.files = {{kServer, TodaysUnit({}, "agent", "k3s")},
                    {kServerEnvironment, "K3S_TOKEN=K10abc::server:secret\nK3S_URL=https://10.0.0.1:6443\n"}};
  misnamed.refused = "an installer never names a unit for `k3s agent` k3s.service";
  nodes->push_back(misnamed);

  WildNode foreign = Server("UnitOfAnotherName", {}, {});
  foreign.unit = "kubernetes.service";
  foreign.files = {
      {"etc/systemd/system/kubernetes.service", "[Service]\nExecStart=@ROOT@/usr/local/bin/k3s server\n"}};
  foreign.refused = "kubernetes.service";
  nodes->push_back(foreign);
}

}  // namespace

const std::vector<WildNode>& WildNodes() {
  static const auto* nodes = [] {
    auto* all = new std::vector<WildNode>;
    AddUsual(all);
    AddDatastoresAndRoles(all);
    AddNamesAndAges(all);
    AddDifficultWords(all);
    AddSplitConfigurations(all);
    AddEnvironmentFiles(all);
    AddHandMade(all);
    return all;
  }();
  return *nodes;
}

}  // namespace k3saga::node
