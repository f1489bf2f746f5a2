#include "coordinator/config/cluster_file.h"

#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <google/protobuf/util/message_differencer.h>

#include "coordinator/config/policies.h"
#include "coordinator/config/starter.h"

namespace k3saga::config {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr char kSmallest[] = R"(name: shop-12
identity: {ca: ca.crt, certificate: me.crt, key: me.key}
nodes:
- {name: s1, role: server, agent: 10.0.0.11}
)";

bool Everything(const std::string&) { return true; }

absl::StatusOr<ClusterFile> Parse(const std::string& text) {
  return ParseClusterFile(text, "/etc/k3saga/cluster.yaml", Everything);
}

// The mistakes, without the file's name in front.
std::vector<std::string> MistakesIn(const std::string& text, const FileExists& exists = Everything) {
  auto file = ParseClusterFile(text, "c.yaml", exists);
  if (file.ok()) return {};
  std::vector<std::string> lines = absl::StrSplit(std::string(file.status().message()), '\n');
  for (std::string& line : lines) line = absl::StrReplaceAll(line, {{"c.yaml:", ""}});
  return lines;
}

TEST(ClusterFile, TheSmallestHasAllDefaults) {
  auto file = Parse(kSmallest);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->name, "shop-12");
  EXPECT_EQ(file->distribution, "k3s");
  EXPECT_EQ(file->identity.key, "/etc/k3saga/me.key");
  ASSERT_EQ(file->nodes.size(), 1u);
  EXPECT_EQ(file->nodes[0].role, v1::ROLE_SERVER);
  EXPECT_EQ(file->nodes[0].agent, "ipv4:10.0.0.11:7440");
  EXPECT_TRUE(MessageDifferencer::Equals(file->policies, DefaultPolicies()));
  ASSERT_EQ(file->release.sources_size(), 1);
  EXPECT_EQ(file->release.sources(0).kind(), v1::ReleaseSource::GITHUB);
  EXPECT_EQ(file->release.installer().kind(), v1::Installer::URL);
  EXPECT_FALSE(file->system_upgrade_controller.enabled);
}

TEST(ClusterFile, TheStarterSaysTheDefaults) {
  for (const std::vector<StarterNode>& nodes :
       {std::vector<StarterNode>{}, std::vector<StarterNode>{{"s1", v1::ROLE_SERVER, "[fd00::11]:7441"},
                                                             {"w1", v1::ROLE_WORKER, "10.0.0.21"}}}) {
    auto file = Parse(StarterClusterFile("shop-12", nodes, "identity"));
    ASSERT_TRUE(file.ok()) << file.status();
    auto smallest = Parse(kSmallest);
    EXPECT_TRUE(MessageDifferencer::Equals(file->policies, smallest->policies))
        << file->policies.DebugString();
    EXPECT_TRUE(MessageDifferencer::Equals(file->release, smallest->release)) << file->release.DebugString();
    EXPECT_EQ(file->channel_server, smallest->channel_server);
    EXPECT_EQ(file->identity.certificate, "/etc/k3saga/identity/coordinator.crt");
    ASSERT_EQ(file->nodes.size(), nodes.empty() ? 4u : 2u);
    if (!nodes.empty()) {
      EXPECT_EQ(file->nodes[0].agent, "ipv6:[fd00::11]:7441");
    }
  }
}

TEST(ClusterFile, EverythingCanBeSaid) {
  auto file = Parse(std::string(kSmallest) + R"(distribution: k3s
release:
  source: coordinator:releases
  fallback_sources: [/srv/k3s, https://mirror.example/k3s]
  installer: none
  channel_server: http://channels.example
  images: true
backup:
  keep: 2
  copy_to: backups
  velero: {namespaces: [kube-system, shop]}
  external_command: [/usr/local/bin/dump, --all]
policies:
  servers: {health_timeout: 2m, settle_time: 0s, gate_timeout: 1h, cordon: true, on_failure: stop, reboot: if-required,
            drain: {enabled: true, timeout: 90s, grace_period: 10s, force: true, on_timeout: proceed}}
  workers: {max_unavailable: 25%, canary: 0, failure_budget: 3, cordon: false, drain: {enabled: false}, on_failure: skip}
gate: {prometheus: "http://p.example:9090", filter: 'severity="critical"', command: [/bin/true]}
system_upgrade_controller: {enabled: true, channel: https://update.k3s.io/v1-release/channels/stable}
)");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->release.sources(0).kind(), v1::ReleaseSource::COORDINATOR);
  EXPECT_EQ(file->release.sources(0).location(), "/etc/k3saga/releases");
  EXPECT_EQ(file->release.sources(1).kind(), v1::ReleaseSource::FOLDER);
  EXPECT_EQ(file->release.sources(2).kind(), v1::ReleaseSource::GITHUB);
  EXPECT_EQ(file->release.installer().kind(), v1::Installer::NONE);
  EXPECT_TRUE(file->release.images());
  EXPECT_EQ(file->policies.backup().copy_to(), "/etc/k3saga/backups");
  EXPECT_EQ(file->policies.backup().velero_namespaces_size(), 2);
  const v1::ServerPolicy& servers = file->policies.servers();
  EXPECT_EQ(servers.health_timeout_seconds(), 120u);
  EXPECT_EQ(servers.settle_seconds(), 0u);
  EXPECT_EQ(servers.drain().grace_period_seconds(), 10);
  EXPECT_EQ(servers.drain().on_timeout(), v1::DrainPolicy::PROCEED);
  EXPECT_EQ(servers.on_failure(), v1::ON_FAILURE_STOP);
  EXPECT_EQ(servers.reboot(), v1::REBOOT_IF_REQUIRED);
  const v1::WorkerPolicy& workers = file->policies.workers();
  EXPECT_TRUE(workers.max_unavailable().percent());
  EXPECT_EQ(workers.max_unavailable().value(), 25u);
  EXPECT_EQ(workers.failure_budget().value(), 3u);
  EXPECT_FALSE(workers.drain().enabled());
  EXPECT_EQ(file->policies.gate().command_size(), 1);
  EXPECT_TRUE(file->system_upgrade_controller.enabled);
}

TEST(ClusterFile, VeleroBacksUpKubeSystemUnlessItIsToldWhat) {
  const auto namespaces = [](const char* backup) {
    const auto file = Parse(absl::StrCat(kSmallest, backup));
    EXPECT_TRUE(file.ok()) << file.status();
    const auto& names = file->policies.backup().velero_namespaces();
    return std::vector<std::string>(names.begin(), names.end());
  };
  EXPECT_THAT(namespaces(""), testing::IsEmpty());
  EXPECT_THAT(namespaces("backup: {velero: {namespaces: []}}\n"), testing::IsEmpty());
  EXPECT_THAT(namespaces("backup: {velero: {}}\n"), testing::ElementsAre("kube-system"));
  EXPECT_THAT(namespaces("backup: {velero: {namespaces: [shop]}}\n"), testing::ElementsAre("shop"));
}

TEST(ClusterFile, EveryMistakeHasItsPlaceAndWhatWasExpected) {
  struct {
    const char* section;
    const char* mistake;
  } const cases[] = {
      {"polices: {}", "5:1: polices: unknown key; did you mean \"policies\"?"},
      {"policies: {server: {}}", "5:12: policies.server: unknown key; did you mean \"servers\"?"},
      {"policies: {servers: {drain: {enabeld: true}}}",
       "5:30: policies.servers.drain.enabeld: unknown key; did you mean \"enabled\"?"},
      {"policies: {servers: {settle_time: 15}}",
       "5:35: policies.servers.settle_time: expected a duration in whole seconds, such as 15s, 5m or 1h30m, "
       "found \"15\""},
      {"policies: {workers: {max_unavailable: 0}}",
       "5:39: policies.workers.max_unavailable: expected a number of nodes such as 1, or a percentage such "
       "as 10%, "
       "found \"0\""},
      {"policies: {workers: {failure_budget: 101%}}",
       "5:38: policies.workers.failure_budget: expected a number of nodes such as 0, or a percentage such as "
       "10%, "
       "found \"101%\""},
      {"policies: {workers: {on_failure: skp}}",
       "5:34: policies.workers.on_failure: expected stop | skip | put_back, found \"skp\"; did you mean "
       "\"skip\"?"},
      {"policies: {workers: {cordon: false}}",
       "5:30: policies.workers.cordon: expected true where drain is enabled: pods would come back to the "
       "node"},
      {"distribution: rke2",
       "5:15: distribution: expected k3s, found \"rke2\"; no other distribution is supported"},
      {"release: {source: k3s}",
       "5:19: release.source: expected https://..., /folder (on each node), coordinator:/folder (on this "
       "machine) or coordinator:https://... (fetched by this machine), found \"k3s\""},
      {"release: {installer_sha256: abc}",
       "5:29: release.installer_sha256: expected 64 lower-case hexadecimal digits"},
      {"backup: {enabled: no}", "5:19: backup.enabled: expected true or false, found \"no\""},
      {"backup: {keep: 0}", "5:16: backup.keep: expected a whole number from 1 to 1000, found \"0\""},
      {"gate: {filter: 'x=\"y\"'}", "5:16: gate.filter: a filter of alerts needs \"prometheus\" beside it"},
      {"gate: {prometheus: \"http://p\", filter: severity}",
       "5:40: gate.filter: expected =, !=, =~ or !~ at character 9 of severity; a filter is written like "
       "severity=\"critical\""},
      {"gate: {command: /bin/true}", "5:17: gate.command: expected a list of texts, found \"/bin/true\""},
      {"system_upgrade_controller: {version: 1.32.0}",
       "5:38: system_upgrade_controller.version: \"1.32.0\" is not a k3s version; expected one like "
       "v1.32.0+k3s1"},
      {"system_upgrade_controller: {version: v1.32.0+k3s1, channel: https://x}",
       "5:61: system_upgrade_controller.channel: expected either a version or a channel, found both"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(MistakesIn(std::string(kSmallest) + c.section + "\n"), testing::ElementsAre(c.mistake))
        << c.section;
  }
}

TEST(ClusterFile, NodesAreCheckedAgainstEachOther) {
  EXPECT_THAT(MistakesIn(R"(name: Shop 12
identity: {ca: a, certificate: b, key: c}
nodes:
- {name: w1, role: worker, agent: 10.0.0.11}
- {name: w1, role: wroker, agent: 10.0.0.11:7440}
- {name: W2, agent: 10.0.0, port: 3}
- {role: worker}
)"),
              testing::ElementsAre(
                  testing::StartsWith("1:7: name: \"Shop 12\" is not a cluster's name"),
                  "5:10: nodes[1].name: \"w1\" is already nodes[0].name",
                  "5:20: nodes[1].role: expected server | worker, found \"wroker\"; did you mean \"worker\"?",
                  "5:35: nodes[1].agent: \"ipv4:10.0.0.11:7440\" is already nodes[0].agent",
                  "6:3: nodes[2].role: missing; expected server | worker",
                  testing::StartsWith("6:10: nodes[2].name: \"W2\" is not a node's name"),
                  testing::StartsWith("6:21: nodes[2].agent: expected an address such as 10.0.0.11"),
                  testing::StartsWith("6:29: nodes[2].port: unknown key"),
                  "7:3: nodes[3].name: missing; expected the node's name in Kubernetes",
                  "7:3: nodes[3].agent: missing; expected the address of the node's agent"));
  EXPECT_THAT(MistakesIn("name: a\nidentity: {ca: a, certificate: b, key: c}\nnodes:\n- {name: w, role: "
                         "worker, agent: h}\n"),
              testing::ElementsAre("4:1: nodes: expected at least one node with role: server"));
}

TEST(ClusterFile, AnEmptyFileSaysWhatIsMissing) {
  EXPECT_THAT(MistakesIn("# nothing yet\n"),
              testing::UnorderedElementsAre(
                  "1:1: name: missing; expected the cluster's name",
                  "1:1: identity.ca: missing; expected the authority's certificate file",
                  "1:1: identity.certificate: missing; expected the coordinator's certificate file",
                  "1:1: identity.key: missing; expected the coordinator's private key file",
                  "1:1: nodes: expected at least one node"));
}

TEST(ClusterFile, MissingFilesAreNamedWhereTheyAreAskedFor) {
  EXPECT_THAT(MistakesIn(std::string(kSmallest) +
                             "release: {source: 'coordinator:/srv/k3s', installer: /on/the/node.sh}\n",
                         [](const std::string& path) { return path == "ca.crt"; }),
              testing::ElementsAre("2:37: identity.certificate: no such file: me.crt",
                                   "2:50: identity.key: no such file: me.key",
                                   "5:19: release.source: no such file: /srv/k3s"));
}

TEST(ClusterFile, ThisMachineFetchesWhatNodesCannot) {
  auto file = Parse(std::string(kSmallest) +
                    "release: {source: 'coordinator:https://mirror.example/k3s', "
                    "installer: 'coordinator:https://get.k3s.io'}\n");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->release.sources(0).kind(), v1::ReleaseSource::COORDINATOR);
  EXPECT_EQ(file->release.sources(0).location(), "https://mirror.example/k3s");
  EXPECT_EQ(file->release.installer().kind(), v1::Installer::COORDINATOR);
  EXPECT_EQ(file->release.installer().location(), "https://get.k3s.io");
}

TEST(LoadClusterFile, SaysHowToWriteAMissingOne) {
  auto file = LoadClusterFile("/nowhere/cluster.yaml");
  EXPECT_EQ(file.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(file.status().message()), testing::HasSubstr("k3saga init"));
}

}  // namespace
}  // namespace k3saga::config
