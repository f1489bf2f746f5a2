// Wild nodes: units that people or other tools wrote or edited.
#include "tests/unit/node/wild_node_parts.h"

#include <absl/strings/str_replace.h>

namespace k3saga::node::wild {

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

  WildNode global = Server("FlagBeforeTheCommand", {}, {"--debug"});
  global.files = {{kServer, "[Service]\nExecStart=@ROOT@/usr/local/bin/k3s --debug server\n"}};
  global.refused = "directly";
  nodes->push_back(global);

  WildNode env = Agent("ThroughEnv", {}, {"--node-name=a"});
  env.files = {
      {kAgent, "[Service]\nExecStart=/usr/bin/env GODEBUG=x @ROOT@/usr/local/bin/k3s agent --node-name=a\n"}};
  env.environment = {};
  env.node_name = "a";
  env.refused = "directly";
  nodes->push_back(env);

  // k3s-ansible writes units of its own: one line, everything spelled out, and the token in it.
  WildNode ansible = Etcd(Server("FromAnsible", {},
                                 {"--data-dir", "@ROOT@/var/lib/rancher/k3s/", "--cluster-init", "--token",
                                  "s3cret", "--tls-san", "api.shop"}));
  ansible.files = {{kServer, absl::StrReplaceAll(TodaysUnit({}),
                                                 {{"k3s \\\n    server \\\n",
                                                   "k3s server --data-dir @ROOT@/var/lib/rancher/k3s/ "
                                                   "--cluster-init --token s3cret --tls-san api.shop\n"}})},
                   {kServerEnvironment, ""}};
  ansible.facts = {{"--token", "***"}, {"--tls-san", "api.shop"}};
  ansible.exec =
      "server --data-dir @ROOT@/var/lib/rancher/k3s/ --cluster-init --token s3cret --tls-san api.shop";
  nodes->push_back(ansible);
}

}  // namespace k3saga::node::wild
