#include "agent/service/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace k3saga::service {
namespace {

using ::testing::HasSubstr;

TEST(AgentConfigTest, DefaultsAreThoseOfARealNode) {
  const auto config = ParseAgentConfig("node: s1\n", "agent.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->node, "s1");
  EXPECT_EQ(config->listen, "0.0.0.0:7440");
  EXPECT_EQ(config->metrics, "0.0.0.0:9440");
  EXPECT_EQ(config->identity.key, "/etc/k3saga/agent.key");
  EXPECT_EQ(config->JournalFile(), "/var/lib/k3saga-agent/journal.db");
  EXPECT_EQ(config->host.root, "/");
  EXPECT_EQ(config->etcd, "127.0.0.1:2379");
}

TEST(AgentConfigTest, ReadsEveryKey) {
  const auto config = ParseAgentConfig(R"(
node: s1
listen: "[::]:0"
metrics: 127.0.0.1:0
identity: {ca: /i/ca, certificate: /i/crt, key: /i/key}
state: /s
host:
  root: /lab/s1
  systemctl: /lab/bin/systemctl
  systemd_run: /lab/bin/systemd-run
  journalctl: /lab/bin/journalctl
  etcd: 127.0.3.1:2379
  etcd_metrics: http://127.0.3.1:2381
  kubelet_health: http://127.0.3.1:10248/healthz
)",
                                       "agent.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->listen, "[::]:0");
  EXPECT_EQ(config->identity.ca, "/i/ca");
  EXPECT_EQ(config->state.state, "/s");
  EXPECT_EQ(config->host.root, "/lab/s1");
  EXPECT_EQ(config->host.systemd_run, "/lab/bin/systemd-run");
  EXPECT_EQ(config->etcd, "127.0.3.1:2379");
  EXPECT_EQ(config->kubelet_health, "http://127.0.3.1:10248/healthz");
}

TEST(AgentConfigTest, NamesEveryMistakeWithItsPlace) {
  const struct {
    const char* text;
    const char* said;
  } cases[] = {
      {"", "node"},
      {"node: S_1\n", "agent.yaml:1:"},
      {"node: s1\nlisten: 7440\n", "agent.yaml:2:"},
      {"node: s1\nlisten: 10.0.0.1:99999\n", "ADDRESS:PORT"},
      {"node: s1\nlisten: example.org:7440\n", "ADDRESS:PORT"},
      {"node: s1\nmetric: 0.0.0.0:9440\n", "metric"},
      {"node: s1\nhost:\n  rooot: /x\n", "agent.yaml:3:"},
      {"node: s1\nstate: var/lib\n", "absolute path"},
      {"node: s1\nidentity: /etc\n", "agent.yaml:2:"},
      {"node: s1\nhost: {kubelet_health: ftp://x}\n", "http://"},
      {"node: [s1\n", "agent.yaml:"},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(each.text);
    const absl::Status status = ParseAgentConfig(each.text, "agent.yaml").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(each.said));
  }
}

TEST(AgentConfigTest, AMissingFileIsNamed) {
  const absl::Status status = LoadAgentConfig("/nowhere/agent.yaml").status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/agent.yaml"));
}

}  // namespace
}  // namespace k3saga::service
