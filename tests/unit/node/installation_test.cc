#include "agent/node/installation.h"

#include <unistd.h>

#include "agent/node/configuration.h"
#include "agent/node/k3s_installer.h"
#include "agent/node/keep.h"
#include "tests/unit/node/fake_host.h"

namespace k3saga::node {
namespace {

constexpr char kUnit[] = "[Service]\nType=notify\nExecStart=@ROOT@/usr/local/bin/k3s server --node-name s1\n";
constexpr char kAgentUnit[] = "[Service]\nType=notify\nExecStart=@ROOT@/usr/local/bin/k3s agent\n";

std::vector<v1::ReasonCode> Codes(const Installation& node) {
  std::vector<v1::ReasonCode> codes;
  for (const v1::Reason& reason : node.problems) codes.push_back(reason.code());
  return codes;
}

TEST(Installation, TellsWhatRunsFromWhatIsOnDisk) {
  FakeHost host;
  const std::string binary = host.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
  host.Write("etc/systemd/system/k3s.service", kUnit);
  host.SetStatus("k3s.service", "active", host.StartProcess(binary));
  host.WriteBinary("usr/local/bin/k3s", "v1.32.0+k3s1");
  const Installation node = host.Read();
  EXPECT_EQ(node.binary_version, "v1.32.0+k3s1");
  EXPECT_EQ(node.process.version, "v1.31.4+k3s1");
  EXPECT_FALSE(node.binary_is_running);
  const v1::K3sFacts facts = ToFacts(node);
  EXPECT_EQ(facts.running_version(), "v1.31.4+k3s1");
  EXPECT_EQ(facts.active_state(), "active/running");
  EXPECT_EQ(facts.node_name(), "s1");
}

TEST(Installation, AStoppedNodeIsStillRead) {
  FakeHost host;
  host.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
  host.Write("etc/systemd/system/k3s.service", kUnit);
  host.SetStatus("k3s.service", "failed");
  const Installation node = host.Read();
  EXPECT_THAT(Codes(node), ::testing::IsEmpty());
  EXPECT_TRUE(node.found());
  EXPECT_EQ(node.process.pid, 0u);
  EXPECT_EQ(ToFacts(node).running_version(), "");
}

TEST(Installation, NoUnitIsExplained) {
  struct Case {
    const char* file;
    const char* distribution;
    v1::ReasonCode code;
  };
  const Case cases[] = {
      {"etc/hostname", "", v1::NODE_UNHEALTHY},
      {"usr/local/bin/k3s", "k3s", v1::NODE_UNHEALTHY},  // half installed
      {"var/lib/rancher/k3s/agent/x", "k3s", v1::NODE_UNHEALTHY},
      {"usr/local/lib/systemd/system/rke2-server.service", "rke2", v1::DISTRIBUTION_UNSUPPORTED},
      {"usr/lib/systemd/system/rke2-agent.service", "rke2", v1::DISTRIBUTION_UNSUPPORTED},
      {"etc/kubernetes/kubelet.conf", "kubeadm", v1::DISTRIBUTION_UNSUPPORTED},
  };
  for (const Case& each : cases) {
    FakeHost host;
    host.Write(each.file, "");
    const Installation node = host.Read();
    EXPECT_EQ(node.distribution, each.distribution) << each.file;
    EXPECT_EQ(Codes(node), std::vector<v1::ReasonCode>{each.code}) << each.file;
    EXPECT_FALSE(node.found());
    if (each.code == v1::DISTRIBUTION_UNSUPPORTED) {
      EXPECT_THAT(node.problems[0].detail(), ::testing::HasSubstr(each.file));  // what gave it away
    }
  }
}

TEST(Installation, OpenRcIsRefusedClearly) {
  FakeHost host;
  host.Write("sbin/openrc-run", "", 0755);
  host.Write("etc/init.d/k3s-agent", "", 0755);
  EXPECT_EQ(Codes(host.Read()), std::vector<v1::ReasonCode>{v1::INIT_SYSTEM_UNSUPPORTED});
}

TEST(Installation, OfTwoUnitsTheRunningOneCounts) {
  // A bare installer on a worker leaves this: a server's unit, enabled, beside the agent's.
  FakeHost host;
  const std::string binary = host.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
  host.Write("etc/systemd/system/k3s.service", kUnit);
  host.Write("etc/systemd/system/k3s-agent.service", kAgentUnit);
  host.SetEnabled("k3s.service", true);
  host.SetEnabled("k3s-agent.service", true);
  host.SetStatus("k3s-agent.service", "active", host.StartProcess(binary));
  const Installation node = host.Read();
  EXPECT_EQ(node.unit, "k3s-agent.service");
  EXPECT_EQ(node.role, v1::ROLE_WORKER);
  ASSERT_EQ(Codes(node), std::vector<v1::ReasonCode>{v1::NODE_LAYOUT_UNSUPPORTED});
  EXPECT_THAT(node.problems[0].detail(), ::testing::HasSubstr("k3s.service"));
}

TEST(Installation, ATieIsNotBrokenByGuessing) {
  FakeHost host;
  host.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
  host.Write("etc/systemd/system/k3s.service", kUnit);
  host.Write("etc/systemd/system/k3s-agent.service", kAgentUnit);
  const Installation node = host.Read();
  EXPECT_FALSE(node.found());
  EXPECT_EQ(Codes(node), std::vector<v1::ReasonCode>{v1::NODE_LAYOUT_UNSUPPORTED});
}

TEST(Installation, BrokenFilesAreProblemsNotCrashes) {
  FakeHost host;
  host.Write("usr/local/bin/k3s", "garbage", 0755);
  host.Write("etc/systemd/system/k3s.service",
             "[Service]\nEnvironment='open\nEnvironmentFile=@ROOT@/missing\n"
             "ExecStart=@ROOT@/usr/local/bin/k3s server --node-name=%Z\n");
  host.Write("etc/rancher/k3s/config.yaml", "a: b: c\n");
  const Installation node = host.Read();
  EXPECT_TRUE(node.found());
  std::string text;
  for (const v1::Reason& reason : node.problems) text += reason.detail() + "\n";
  EXPECT_THAT(
      text, ::testing::AllOf(::testing::HasSubstr("a quote is not closed"), ::testing::HasSubstr("/missing"),
                             ::testing::HasSubstr("'%Z'"), ::testing::HasSubstr("config.yaml"),
                             ::testing::HasSubstr("does not say which k3s")));
}

TEST(Installation, AnUnparsableK3sUnitIsNamed) {
  FakeHost host;
  host.Write("etc/systemd/system/k3s.service", "[Service\nExecStart=/usr/local/bin/k3s server\n");
  const Installation node = host.Read();
  ASSERT_FALSE(node.problems.empty());
  EXPECT_THAT(node.problems[0].detail(), ::testing::HasSubstr("k3s.service:1"));
}

TEST(Installation, KnowsRancherAndRotatingKeys) {
  FakeHost host;
  host.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
  host.Write("etc/systemd/system/k3s.service", kUnit);
  EXPECT_FALSE(host.Read().rancher_managed);
  EXPECT_FALSE(host.Read().secrets_encryption_rotating);
  host.Write("etc/rancher/k3s/config.yaml.d/50-rancher.yaml", "{}\n");
  host.Write("var/lib/rancher/k3s/server/cred/encryption-state.json", "rotate-8d5f");
  EXPECT_TRUE(host.Read().rancher_managed);
  EXPECT_TRUE(host.Read().secrets_encryption_rotating);
  host.Write("var/lib/rancher/k3s/server/cred/encryption-state.json", "reencrypt_finished-8d5f");
  EXPECT_FALSE(host.Read().secrets_encryption_rotating);
}

TEST(Installation, PrefersTheAdminKubeconfigOfTheDataFolder) {
  FakeHost host;
  host.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
  host.Write("etc/systemd/system/k3s.service", kUnit);
  EXPECT_EQ(host.Read().kubeconfig, host.Path("etc/rancher/k3s/k3s.yaml"));
  host.Write("var/lib/rancher/k3s/server/cred/admin.kubeconfig", "");
  EXPECT_EQ(host.Read().kubeconfig, host.Path("var/lib/rancher/k3s/server/cred/admin.kubeconfig"));
}

TEST(Installation, ReadsTheMachine) {
  FakeHost host;
  host.Write("etc/os-release", "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
  v1::NodeFacts facts;
  ReadMachine(host.paths(), &facts);
  EXPECT_EQ(facts.operating_system(), "Debian GNU/Linux 12 (bookworm)");
  EXPECT_FALSE(facts.boot_id().empty());
  EXPECT_FALSE(facts.kernel().empty());
  EXPECT_FALSE(facts.reboot_required());
  host.Write("run/reboot-required", "");
  ReadMachine(host.paths(), &facts);
  EXPECT_TRUE(facts.reboot_required());
}

TEST(Installation, TheNewInstallerReadsAFileThatTheOldUnitDidNot) {
  // A forgotten /etc/default/k3s would suddenly count: that has to be seen before k3s is restarted.
  FakeHost host;
  host.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
  host.Write("etc/systemd/system/k3s.service", kUnit);
  host.Write("etc/default/k3s", "K3S_NODE_NAME=forgotten\n");
  host.SetEnabled("k3s.service", true);
  const Installation before = host.Read();
  auto call = PlanInstaller(before, host.StandInInstaller());
  ASSERT_TRUE(call.ok()) << call.status();
  ASSERT_TRUE(RunInstaller(*call, std::chrono::seconds(60), host.systemd()).ok());
  EXPECT_EQ(CompareMeaning(MeaningOf(before), MeaningOf(host.Read())),
            std::vector<std::string>{"variable K3S_NODE_NAME is new (forgotten)"});
}

TEST(Installation, WhatRunsSaysWhichConfigurationFilesCount) {
  FakeHost host;
  host.Write("etc/systemd/system/k3s.service", kUnit);
  host.Write("etc/rancher/k3s/config.yaml.d/10.yaml", "data-dir: /later\n");
  host.SetEnabled("k3s.service", true);
  const uint32_t pid = host.StartProcess(host.WriteBinary("old/data/x/bin/k3s", "v1.20.15+k3s1"));
  host.SetStatus("k3s.service", "active", pid);
  host.WriteBinary("usr/local/bin/k3s", "v1.21.14+k3s1");
  const Installation running = host.Read();
  EXPECT_EQ(running.process.version, "v1.20.15+k3s1");
  EXPECT_NE(running.data_dir, "/later");
  EXPECT_EQ(running.configuration.unread.size(), 1u);
  EXPECT_THAT(running.binary_configuration.unread, ::testing::IsEmpty());

  host.SetStatus("k3s.service", "inactive");
  EXPECT_EQ(host.Read().data_dir, "/later");
}

TEST(Installation, ABinaryThatReadsMoreFilesChangesWhatIsMeant) {
  FakeHost host;
  host.Write("etc/systemd/system/k3s.service", kUnit);
  const std::string file = host.Write("etc/rancher/k3s/config.yaml.d/10.yaml", "token: hush\ndebug: true\n");
  host.WriteBinary("usr/local/bin/k3s", "v1.20.15+k3s1");
  const ConfigurationMeaning before = MeaningOf(host.Read());
  host.WriteBinary("usr/local/bin/k3s", "v1.21.14+k3s1");
  const ConfigurationMeaning after = MeaningOf(host.Read());
  auto kept = MeaningFromJson(MeaningToJson(before));
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_THAT(CompareMeaning(*kept, after),
              ::testing::ElementsAre(file + " was not read and is now: it changes debug, token"));
  EXPECT_THAT(CompareMeaning(after, before),
              ::testing::ElementsAre(file + " was read and is not any more: it set debug, token"));
  // Moved away meanwhile, as the refusal advises.
  ASSERT_EQ(unlink(file.c_str()), 0);
  EXPECT_THAT(CompareMeaning(*kept, MeaningOf(host.Read())), ::testing::IsEmpty());
}

TEST(Compare, ShowsArgumentsWithoutTheirSecrets) {
  ConfigurationMeaning before;
  before.arguments = {"--token", "K10secret", "--kube-apiserver-arg", "oidc-client-secret=hush", "--debug"};
  ConfigurationMeaning after;
  after.arguments = {"--token=K10secret", "--node-name", "s1"};
  const std::vector<std::string> differences = CompareMeaning(before, after);
  ASSERT_EQ(differences.size(), 1u);
  EXPECT_EQ(differences[0],
            "arguments changed from \"--token *** --kube-apiserver-arg oidc-client-secret=*** --debug\" to "
            "\"--token=*** --node-name s1\"");
}

}  // namespace
}  // namespace k3saga::node
