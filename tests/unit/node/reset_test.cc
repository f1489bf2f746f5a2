#include "agent/node/reset.h"

#include <nlohmann/json.hpp>

#include "agent/node/set_aside.h"
#include "agent/node/standstill.h"
#include "common/reason.h"
#include "tests/unit/node/fake_host.h"

namespace k3saga::node {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kData[] = "var/lib/rancher/k3s/server/";

class ResetTest : public ::testing::Test {
 protected:
  ResetTest() {
    host_.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
    WriteUnit("server --server https://10.0.0.1:6443 --node-ip 10.0.0.2");
    host_.Write(std::string(kData) + "db/etcd/member/wal/0", "log");
    host_.Write(std::string(kData) + "db/snapshots/daily", "snapshot");
    host_.Write(std::string(kData) + "tls/server-ca.crt", "authority");
    host_.Write(std::string(kData) + "tls/etcd/client.key", "key", 0600);
    host_.Write(std::string(kData) + "cred/admin.kubeconfig", "admin");
    host_.Write(std::string(kData) + "token", "K10abc::server:old-secret\n", 0600);
  }

  void WriteUnit(const std::string& command) {
    host_.Write("etc/systemd/system/k3s.service",
                "[Service]\nEnvironmentFile=-@ROOT@/etc/systemd/system/k3s.service.env\n"
                "ExecStart=@ROOT@/usr/local/bin/k3s " +
                    command + "\n");
  }
  // A k3s that writes down how it was called, then does this.
  void SetK3s(const std::string& action) {
    host_.Write("usr/local/bin/k3s",
                "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'k3s version v1.31.4+k3s1 (x)'; exit; fi\n"
                "for word in \"$@\"; do echo \"$word\"; done >@ROOT@/asked\nenv >@ROOT@/environment\n" +
                    action + "\n",
                0755);
  }
  std::string Server(const std::string& name) const { return host_.Path(std::string(kData) + name); }
  ResetCall Plan() {
    auto call = PlanReset(host_.Read(), "/backup/snapshot", "K10abc::server:old-secret\n",
                          host_.state().state + "/reset/r1.yaml");
    EXPECT_TRUE(call.ok()) << call.status();
    return *call;
  }
  v1::StoredBackup Backup() {
    v1::StoredBackup backup;
    backup.set_id("b1");
    backup.set_version("v1.31.4+k3s1");
    backup.set_datastore(v1::DATASTORE_EMBEDDED_ETCD);
    return backup;
  }

  FakeHost host_;
};

TEST_F(ResetTest, KeepsEveryFlagButTheServerUrl) {
  WriteUnit(
      "server --server https://10.0.0.1:6443 --node-ip 10.0.0.2 -s=https://b --etcd-s3 "
      "--etcd-s3-bucket shop --config /etc/other.yaml --tls-san=a --cluster-init");
  const ResetCall call = Plan();
  EXPECT_THAT(call.argv, ElementsAre(host_.Path("usr/local/bin/k3s"), "server", "--node-ip", "10.0.0.2",
                                     "--etcd-s3-bucket", "shop", "--tls-san=a", "--cluster-init",
                                     "--config=" + host_.state().state + "/reset/r1.yaml", "--cluster-reset",
                                     "--cluster-reset-restore-path=/backup/snapshot"));
}

TEST_F(ResetTest, LeavesTheServerUrlOutOfEnvironmentAndConfiguration) {
  host_.Write("etc/systemd/system/k3s.service.env",
              "K3S_URL=https://10.0.0.1:6443\nK3S_TOKEN=old-secret\nHTTP_PROXY=http://proxy\n");
  host_.Write("etc/rancher/k3s/config.yaml",
              "server: https://10.0.0.1:6443\nnode-label:\n- a=b\n- c=d\ntls-san: x\n");
  host_.Write("etc/rancher/k3s/config.yaml.d/10-more.yaml", "server: https://z\nnode-label+: [e=f]\n");
  const ResetCall call = Plan();
  EXPECT_THAT(call.environment, Not(Contains(HasSubstr("K3S_URL"))));
  EXPECT_THAT(call.environment, Contains("HTTP_PROXY=http://proxy"));
  EXPECT_THAT(call.environment, Contains("K3S_TOKEN=old-secret"));
  EXPECT_EQ(nlohmann::json::parse(call.config),
            (nlohmann::json{{"node-label", {"a=b", "c=d", "e=f"}}, {"tls-san", {"x"}}}));
  EXPECT_EQ(host_.Read("etc/rancher/k3s/config.yaml.d/10-more.yaml"),
            "server: https://z\nnode-label+: [e=f]\n")
      << "the node's own files stay as they are";
}

TEST_F(ResetTest, HandsTheTokenOverWhereNobodyTellsK3sOne) {
  EXPECT_THAT(Plan().environment, Contains("K3S_TOKEN=K10abc::server:old-secret"));
}

TEST_F(ResetTest, RunsItAndLeavesNoSecretBehind) {
  SetK3s("mkdir -p @ROOT@/var/lib/rancher/k3s/server/db/etcd/member");
  host_.Write(std::string(kData) + "db/reset-flag", "");
  const ResetCall call = Plan();
  ASSERT_TRUE(RunReset(host_.Read(), call, std::chrono::seconds(60)).ok());
  EXPECT_THAT(host_.Read("asked"), HasSubstr("--cluster-reset\n"));
  EXPECT_FALSE(Exists(call.config_file));
  EXPECT_FALSE(Exists(Server("db/reset-flag"))) << "it would have refused a second one";
}

TEST_F(ResetTest, SaysWhyItFailedWithoutTheToken) {
  host_.Write("etc/systemd/system/k3s.service.env", "K3S_TOKEN=old-secret\n");
  ASSERT_TRUE(RemoveTree(Server("db/etcd")).ok());
  const struct {
    const char* action;
    std::chrono::milliseconds deadline;
    v1::ReasonCode code;
    const char* detail;
  } cases[] = {
      {"echo fatal: token old-secret is wrong >&2; exit 1", std::chrono::seconds(60), v1::RESTORE_FAILED,
       "is wrong"},
      {"exit 0", std::chrono::seconds(60), v1::RESTORE_FAILED, "left no datastore"},
      {"exec sleep 600", std::chrono::milliseconds(200), v1::TIMED_OUT, "cluster-reset"},
  };
  for (const auto& each : cases) {
    SetK3s(each.action);
    const v1::Reason reason = ReasonOf(RunReset(host_.Read(), Plan(), each.deadline));
    EXPECT_EQ(reason.code(), each.code) << each.action;
    EXPECT_THAT(reason.detail(), HasSubstr(each.detail));
    EXPECT_THAT(reason.detail(), Not(HasSubstr("old-secret")));
    EXPECT_FALSE(Exists(host_.state().state + "/reset/r1.yaml"));
  }
}

TEST_F(ResetTest, JudgesABackupBeforeAnythingIsMoved) {
  const Installation node = host_.Read();
  EXPECT_TRUE(JudgeRestore(node, Backup(), "").ok());
  v1::StoredBackup newer = Backup();
  newer.set_version("v1.32.0+k3s1");
  v1::StoredBackup older = Backup();
  older.set_version("v1.30.1+k3s1");
  v1::StoredBackup sqlite = Backup();
  sqlite.set_datastore(v1::DATASTORE_SQLITE);
  EXPECT_TRUE(JudgeRestore(node, older, "").ok());
  EXPECT_THAT(std::string(JudgeRestore(node, newer, "").message()), HasSubstr("taken by v1.32.0+k3s1"));
  EXPECT_EQ(ReasonOf(JudgeRestore(node, sqlite, "")).code(), v1::BACKUP_UNUSABLE);

  Installation elsewhere = node;
  elsewhere.cluster_id = "one";
  v1::StoredBackup other = Backup();
  other.set_cluster_id("two");
  EXPECT_THAT(std::string(JudgeRestore(elsewhere, other, "").message()), HasSubstr("another cluster"));
}

TEST_F(ResetTest, AConfiguredTokenMustBeTheBackups) {
  host_.Write("etc/systemd/system/k3s.service.env", "K3S_TOKEN=K10abc::server:rotated\n");
  EXPECT_TRUE(JudgeRestore(host_.Read(), Backup(), "rotated").ok());
  const absl::Status status = JudgeRestore(host_.Read(), Backup(), "K10abc::server:old-secret");
  EXPECT_EQ(ReasonOf(status).code(), v1::BACKUP_UNUSABLE);
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("rotated")));
}

TEST_F(ResetTest, TheBackupsTokenTakesThePlaceOfARotatedOne) {
  const std::string aside = Server("k3saga-aside/r1");
  ASSERT_TRUE(PlaceToken(host_.Read(), "K10abc::server:old-secret\n", aside).ok());
  EXPECT_FALSE(Exists(aside)) << "it is the same";
  host_.Write(std::string(kData) + "token", "K10abc::server:rotated\n", 0600);
  ASSERT_TRUE(PlaceToken(host_.Read(), "K10abc::server:old-secret\n", aside).ok());
  ASSERT_TRUE(PlaceToken(host_.Read(), "K10abc::server:old-secret\n", aside).ok());
  EXPECT_EQ(*ReadFile(Server("token")), "K10abc::server:old-secret\n");
  EXPECT_EQ(*ReadFile(aside + "/token"), "K10abc::server:rotated\n");
}

TEST_F(ResetTest, JoinsThroughAnotherServerForAsLongAsItTakes) {
  WriteUnit("server --cluster-init '--node-label=%%a $$b'");
  const Installation before = host_.Read();
  ASSERT_TRUE(before.server_url.empty());
  ASSERT_TRUE(JoinThrough(before, "https://10.0.0.9:6443", host_.systemd()).ok());
  const Installation joining = host_.Read();
  EXPECT_EQ(joining.server_url, "https://10.0.0.9:6443");
  EXPECT_THAT(joining.arguments,
              ElementsAre("--cluster-init", "--node-label=%a $b", "--server=https://10.0.0.9:6443",
                          "--token-file=" + before.token_file));
  EXPECT_EQ(joining.environment.at("K3S_URL").value, "https://10.0.0.9:6443");
  EXPECT_EQ(joining.environment.at("K3S_TOKEN_FILE").value, before.token_file);
  // Again, by another process and through another server.
  ASSERT_TRUE(JoinThrough(joining, "https://10.0.0.8:6443", host_.systemd()).ok());
  EXPECT_EQ(host_.Read().server_url, "https://10.0.0.8:6443");
  EXPECT_THAT(host_.Read().arguments, SizeIs(4));
  ASSERT_TRUE(EndJoining(joining, host_.systemd()).ok());
  ASSERT_TRUE(EndJoining(joining, host_.systemd()).ok());
  EXPECT_TRUE(host_.Read().server_url.empty());
  EXPECT_FALSE(Exists(before.unit_file + ".d"));
}

TEST_F(ResetTest, JoinsThroughTheServerItIsToldWhateverItsUnitNames) {
  host_.Write("etc/token", "old-secret\n");
  WriteUnit("server --server https://gone:6443 --token-file @ROOT@/etc/token");
  host_.Write("etc/systemd/system/k3s.service.d/50-mine.conf", "[Service]\nLimitNOFILE=1\n");
  ASSERT_TRUE(JoinThrough(host_.Read(), "https://10.0.0.9:6443", host_.systemd()).ok());
  EXPECT_EQ(host_.Read().server_url, "https://10.0.0.9:6443");
  EXPECT_FALSE(host_.Read().environment.contains("K3S_TOKEN_FILE")) << "it is told its token already";
  ASSERT_TRUE(EndJoining(host_.Read(), host_.systemd()).ok());
  EXPECT_EQ(host_.Read().server_url, "https://gone:6443");
  EXPECT_TRUE(Exists(host_.Path("etc/systemd/system/k3s.service.d/50-mine.conf")));
}

TEST_F(ResetTest, NothingThatIsSetAsideIsLost) {
  SetAside aside(host_.Path("var/lib/rancher/k3s"), "r1-5-1");
  ASSERT_TRUE(aside.CopyCredentials().ok());
  ASSERT_TRUE(aside.CopyCredentials().ok());
  EXPECT_EQ(*ReadFile(aside.folder() + "/tls/etcd/client.key"), "key");
  EXPECT_TRUE(Exists(Server("tls/etcd/client.key")));

  ASSERT_TRUE(aside.MoveDatastore(v1::DATASTORE_EMBEDDED_ETCD).ok());
  ASSERT_TRUE(aside.MoveDatastore(v1::DATASTORE_EMBEDDED_ETCD).ok()) << "moved already";
  EXPECT_FALSE(Exists(Server("db/etcd")));
  EXPECT_TRUE(Exists(Server("db/snapshots/daily")));
  EXPECT_EQ(*ReadFile(aside.folder() + "/etcd/member/wal/0"), "log");

  // A reset that died half-way left another one.
  host_.Write(std::string(kData) + "db/etcd/member/wal/0", "half");
  ASSERT_TRUE(aside.MoveDatastore(v1::DATASTORE_EMBEDDED_ETCD).ok());
  EXPECT_EQ(*ReadFile(aside.folder() + "/etcd/member/wal/0"), "log");
  EXPECT_EQ(*ReadFile(aside.folder() + "/etcd-2/member/wal/0"), "half");

  ASSERT_TRUE(aside.MoveCredentials().ok());
  EXPECT_FALSE(Exists(Server("tls")));
  EXPECT_EQ(*ReadFile(aside.folder() + "/tls/server-ca.crt"), "authority");
  EXPECT_EQ(*ReadFile(aside.folder() + "/tls-2/server-ca.crt"), "authority");

  EXPECT_EQ(DirName(aside.folder()), SetAside::FolderIn(host_.Path("var/lib/rancher/k3s")));
  EXPECT_TRUE(Exists(Server("db/snapshots/daily")));
}

TEST_F(ResetTest, SqliteGoesWithItsLog) {
  for (const char* name : {"state.db", "state.db-wal", "state.db-shm"}) {
    host_.Write(std::string(kData) + "db/" + name, name);
  }
  SetAside aside(host_.Path("var/lib/rancher/k3s"), "r1-5-1");
  ASSERT_TRUE(aside.MoveDatastore(v1::DATASTORE_SQLITE).ok());
  EXPECT_THAT(*ListDirectory(aside.folder()), ElementsAre("state.db", "state.db-shm", "state.db-wal"));
  EXPECT_TRUE(Exists(Server("db/etcd"))) << "not this server's datastore";
}

TEST_F(ResetTest, AStandstillRemembersWhatItFound) {
  host_.SetEnabled("k3s.service", true);
  Standstill standstill(host_.state());
  ASSERT_TRUE(standstill.End(host_.systemd()).ok()) << "nothing to end";
  ASSERT_TRUE(standstill.Begin("k3s.service", host_.systemd()).ok());
  ASSERT_TRUE(standstill.Begin("k3s.service", host_.systemd()).ok());
  EXPECT_EQ(*host_.systemd().IsEnabled("k3s.service"), "disabled");
  ASSERT_TRUE(Standstill(host_.state()).End(host_.systemd()).ok()) << "another process";
  EXPECT_EQ(*host_.systemd().IsEnabled("k3s.service"), "enabled");

  host_.SetEnabled("k3s.service", false);
  ASSERT_TRUE(standstill.Begin("k3s.service", host_.systemd()).ok());
  ASSERT_TRUE(standstill.End(host_.systemd()).ok());
  EXPECT_EQ(*host_.systemd().IsEnabled("k3s.service"), "disabled") << "it was not enabled before";
  EXPECT_THAT(*ListDirectory(host_.state().state), IsEmpty());
}

}  // namespace
}  // namespace k3saga::node
