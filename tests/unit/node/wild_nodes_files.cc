// Wild nodes: flags and variables spread over units, drop-ins, environment and configuration files.
#include "tests/unit/node/wild_node_parts.h"

#include <absl/strings/str_replace.h>

namespace k3saga::node::wild {

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
  merged.not_read = {"etc/rancher/k3s/config.yaml.d/30-not-read.txt"};
  merged.node_name = "flag";
  merged.facts = {{"tls-san", "c"}, {"server", "https://two:6443"}, {"cluster-init", "true"}};
  nodes->push_back(merged);

  // k3s reads the folder since v1.21; before that, what lies in it is nobody's.
  WildNode folder = Etcd(Server("ConfigFolderBefore121", {}, {}));
  folder.version = "v1.20.15+k3s1";
  folder.files.push_back({kConfig, "cluster-init: true\nnode-name: config\ntls-san: [a]\n"});
  folder.files.push_back(
      {"etc/rancher/k3s/config.yaml.d/10-more.yaml", "node-name: folder\ntoken: hush\ntls-san+: [b]\n"});
  folder.files.push_back({"etc/rancher/k3s/config.yaml.d/20-same.yaml", "cluster-init: true\n"});
  folder.not_read = {"etc/rancher/k3s/config.yaml.d/10-more.yaml",
                     "etc/rancher/k3s/config.yaml.d/20-same.yaml"};
  folder.later = folder.not_read;
  folder.node_name = "config";
  folder.facts = {{"node-name", "config"},
                  {"since v1.21: node-name", "folder"},
                  {"since v1.21: token", "***"},
                  {"since v1.21: tls-san", "b"}};
  nodes->push_back(folder);
  folder.name = "ConfigFolderFrom121On";
  folder.version = "v1.21.0+k3s1";
  folder.not_read.clear();
  folder.later.clear();
  folder.node_name = "folder";
  folder.files.pop_back();
  folder.facts = {{"node-name", "folder"}, {"token", "***"}};
  nodes->push_back(folder);

  // A configuration file at all came with v1.19.
  WildNode ancient = Server("ConfigYamlBefore119", {}, {});
  ancient.version = "v1.18.20+k3s1";
  ancient.files.push_back({kConfig, "cluster-init: true\n"});
  ancient.files.push_back({"etc/rancher/k3s/config.yaml.d/broken.yaml", "- no map\n"});
  ancient.not_read = {kConfig, "etc/rancher/k3s/config.yaml.d/broken.yaml"};
  ancient.later = ancient.not_read;
  ancient.facts = {{"since v1.19: cluster-init", "true"}};
  nodes->push_back(ancient);

  WildNode own = Etcd(Server("ConfigElsewhere", {"'--config'", "'@ROOT@/etc/own.yaml'"},
                             {"--config", "@ROOT@/etc/own.yaml"}));
  own.files.push_back({"etc/own.yaml", "cluster-init: true\n"});
  own.files.push_back({kConfig, "datastore-endpoint: mysql://not-read\n"});
  own.not_read = {kConfig};
  nodes->push_back(own);

  WildNode by_variable =
      Etcd(WithEnvironment(Server("ConfigByVariable", {}, {}), "K3S_CONFIG_FILE='@ROOT@/etc/v.yaml'\n",
                           {{"K3S_CONFIG_FILE", "@ROOT@/etc/v.yaml"}}));
  by_variable.files.push_back({"etc/v.yaml", "cluster-init: true\ndata-dir: /v\n"});
  by_variable.data_dir = "/v";
  nodes->push_back(by_variable);

  nodes->push_back(Server("DataDirByItsShortName", {"-d", "/mnt/k3s"}, {"-d", "/mnt/k3s"}));
  nodes->back().data_dir = "/mnt/k3s";

  WildNode by_data_dir = WithEnvironment(Server("DataDirByVariable", {}, {}), "K3S_DATA_DIR=/srv/k3s\n",
                                         {{"K3S_DATA_DIR", "/srv/k3s"}});
  by_data_dir.data_dir = "/srv/k3s";
  nodes->push_back(by_data_dir);

  WildNode sysconfig = Server("TokenInEtcSysconfig", {}, {});
  sysconfig.files.push_back({"etc/sysconfig/k3s", "K3S_TOKEN=K10s\n"});
  sysconfig.environment = {{"K3S_TOKEN", "K10s"}};
  sysconfig.facts = {{"K3S_TOKEN", "***"}};
  sysconfig.not_given = {"K3S_TOKEN"};
  nodes->push_back(sysconfig);

  WildNode transient = Server("DropInBelowRun", {}, {});
  transient.files.push_back(
      {"run/systemd/system/k3s.service.d/50-go.conf", "[Service]\nEnvironment=GOGC=50\n"});
  transient.environment = {{"GOGC", "50"}};
  transient.not_given = {"GOGC"};
  nodes->push_back(transient);

  // The installer's own file is not read any more: what it still says is not what k3s gets, and it stays.
  WildNode elsewhere = WithEnvironment(Server("DropInReplacesTheEnvironmentFiles", {}, {}),
                                       "K3S_TOKEN=left-over\n", {{"K3S_TOKEN", "right"}});
  elsewhere.files.push_back({"etc/systemd/system/k3s.service.d/env.conf",
                             "[Service]\nEnvironmentFile=\nEnvironmentFile=@ROOT@/etc/k3s.env\n"});
  elsewhere.files.push_back({"etc/k3s.env", "K3S_TOKEN=right\n"});
  elsewhere.not_read = {kServerEnvironment};
  elsewhere.not_given = {"K3S_TOKEN"};
  nodes->push_back(elsewhere);
}

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

  // systemd knows no comments behind a value, and no `export`.
  nodes->push_back(WithEnvironment(Server("CommentBehindAVariable", {}, {}), "K3S_TOKEN=abcd # ours\n",
                                   {{"K3S_TOKEN", "abcd # ours"}}));
  nodes->push_back(WithEnvironment(Server("WrittenForAShell", {}, {}),
                                   "export K3S_DEBUG=true\nK3S_TOKEN=abcd\n", {{"K3S_TOKEN", "abcd"}}));
}

}  // namespace k3saga::node::wild
