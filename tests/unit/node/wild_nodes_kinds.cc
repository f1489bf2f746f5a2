// Wild nodes: what k3s is there, under which names, of which age.
#include "tests/unit/node/wild_node_parts.h"

#include <absl/strings/str_replace.h>

namespace k3saga::node::wild {

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
  existing.not_read = {"var/lib/rancher/k3s/server/db/etcd/name"};  // only that it is there
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

  // Nothing of it in the environment: only the command that is repeated keeps it from becoming a server.
  WildNode configured = WithEnvironment(Agent("AgentByItsConfigYaml", {}, {}), "", {});
  configured.files.push_back({kConfig, "server: https://10.0.0.1:6443\ntoken: K10secret\n"});
  configured.facts = {{"server", "https://10.0.0.1:6443"}, {"token", "***"}};
  configured.exec = "agent";
  configured.not_given = {"K3S_URL", "K3S_TOKEN"};
  nodes->push_back(configured);
}

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

  WildNode in_its_file = Server("ExternalByConfigYaml", {}, {});
  in_its_file.files.push_back({kConfig, "datastore-endpoint: postgres://u:p@db:5432/k3s\n"});
  in_its_file.datastore = v1::DATASTORE_EXTERNAL;
  in_its_file.facts = {{"datastore-endpoint", "***"}};
  nodes->push_back(in_its_file);

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

  nodes->push_back(Etcd(WithEnvironment(Server("ClusterInitByVariable", {}, {}), "K3S_CLUSTER_INIT=true\n",
                                        {{"K3S_CLUSTER_INIT", "true"}})));
  nodes->back().given = {{"K3S_CLUSTER_INIT", "true"}};

  WildNode s3 = Etcd(Server(
      "SnapshotsToS3",
      {"'--cluster-init'", "'--etcd-s3'", "'--etcd-s3-access-key=AKIA1'", "'--etcd-s3-secret-key=hush'"},
      {"--cluster-init", "--etcd-s3", "--etcd-s3-access-key=AKIA1", "--etcd-s3-secret-key=hush"}));
  s3.facts = {{"--etcd-s3-access-key", "***"}, {"--etcd-s3-secret-key", "***"}};
  nodes->push_back(s3);
}

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
  opt.binary = "opt/k3s/bin/k3s";
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

  // Where /usr/local is read-only.
  WildNode read_only = Server("BinaryInOptBin", {}, {});
  read_only.files[0].text = TodaysUnit({}, "server", "k3s", "notify", "@ROOT@/opt/bin");
  read_only.binary = "opt/bin/k3s";
  read_only.given = {{"INSTALL_K3S_BIN_DIR", "@ROOT@/opt/bin"}};
  nodes->push_back(read_only);

  // Downloaded by hand and never renamed: an installer would write `.../k3s` into the unit.
  WildNode arm = Server("BinaryNamedAsReleased", {}, {});
  arm.files[0].text =
      absl::StrReplaceAll(TodaysUnit({}), {{"/usr/local/bin/k3s ", "/usr/local/bin/k3s-arm64 "}});
  arm.binary = "usr/local/bin/k3s-arm64";
  arm.refused = "directly";
  nodes->push_back(arm);
}

}  // namespace k3saga::node::wild
