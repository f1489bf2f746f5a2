#include "agent/node/snapshot.h"

#include <absl/strings/escaping.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "common/host/clock.h"
#include "common/reason.h"
#include "tests/unit/node/fake_host.h"

namespace k3saga::node {
namespace {

// As etcd writes it: pages of a database, then their hash.
std::string EtcdSnapshot(char fill) {
  const std::string pages(4096, fill);
  return pages + std::string(absl::HexStringToBytes(Sha256Of(pages)));
}

void WaitForTheNextMillisecond() {
  const SystemClock clock;
  const int64_t now = clock.WallUnixMillis();
  while (clock.WallUnixMillis() == now) {
  }
}

class SnapshotTest : public ::testing::Test {
 protected:
  SnapshotTest() : backups_(host_.state()) {
    host_.Write("etc/systemd/system/k3s.service",
                "[Service]\nExecStart=@ROOT@/usr/local/bin/k3s server --cluster-init\n");
    host_.Write("etc/rancher/k3s/config.yaml", "node-name: s1\n");
    host_.Write("var/lib/rancher/k3s/server/token", "K10token::server:x\n");
    host_.Write("snapshot", EtcdSnapshot('a'));
    // Names the file as k3s does and logs what it was called with.
    SetK3s("v1.31.4+k3s1",
           "cp @ROOT@/snapshot @ROOT@/var/lib/rancher/k3s/server/db/snapshots/$name-s1-1700000000");
  }

  void SetK3s(const std::string& version, const std::string& action) {
    host_.Write("usr/local/bin/k3s",
                "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'k3s version " + version +
                    " (x)'; exit; fi\necho \"$*\" >>@ROOT@/asked\n"
                    "mkdir -p @ROOT@/var/lib/rancher/k3s/server/db/snapshots\n"
                    "while [ $# -gt 0 ]; do [ \"$1\" = --name ] && name=$2; shift; done\n" +
                    action + "\n",
                0755);
  }

  FakeHost host_;
  BackupStore backups_;
};

TEST_F(SnapshotTest, KeepsTheDatastoreItsTokenAndTheConfiguration) {
  auto backup = backups_.Take(host_.Read(), {.id = "20260131-before"});
  ASSERT_TRUE(backup.ok()) << backup.status();
  EXPECT_EQ(backup->version(), "v1.31.4+k3s1");
  EXPECT_EQ(backup->bytes(), 4096u + 32u);
  EXPECT_EQ(backup->sha256(), Sha256Of(EtcdSnapshot('a')));
  EXPECT_EQ(*ListDirectory(backup->path()),
            (std::vector<std::string>{"config.yaml", "k3saga-20260131-before-s1-1700000000", "manifest.json",
                                      "token", "unit"}));
  const std::vector<std::string> names = *ListDirectory(backup->path());
  for (const std::string& name : names) {
    struct stat info {};
    ASSERT_EQ(stat((backup->path() + "/" + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600u) << name;
  }
  EXPECT_EQ(*ReadFile(*backups_.FilePath("20260131-before", "token")), "K10token::server:x\n");
  // On-demand snapshots are never pruned by k3s: ours does not stay behind.
  EXPECT_THAT(*ListDirectory(host_.Path("var/lib/rancher/k3s/server/db/snapshots")), ::testing::IsEmpty());
  EXPECT_THAT(host_.Read("asked"),
              ::testing::StartsWith("etcd-snapshot save --name k3saga-20260131-before --data-dir "));
}

TEST_F(SnapshotTest, IsIdempotentByItsId) {
  ASSERT_TRUE(backups_.Take(host_.Read(), {.id = "one"}).ok());
  host_.Write("snapshot", EtcdSnapshot('b'));
  auto again = backups_.Take(host_.Read(), {.id = "one"});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->sha256(), Sha256Of(EtcdSnapshot('a')));
}

TEST_F(SnapshotTest, OldReleasesKnowNoSubcommand) {
  SetK3s("v1.20.8+k3s1",
         "cp @ROOT@/snapshot @ROOT@/var/lib/rancher/k3s/server/db/snapshots/$name-1700000000");
  ASSERT_TRUE(backups_.Take(host_.Read(), {.id = "old"}).ok());
  EXPECT_THAT(host_.Read("asked"), ::testing::StartsWith("etcd-snapshot --name k3saga-old"));
}

TEST_F(SnapshotTest, WhatIsNotWholeIsNoBackup) {
  const std::pair<const char*, const char*> cases[] = {
      {"exit 1", "exit status 1"},
      {":", "holds 0 files"},
      {"head -c 2000 @ROOT@/snapshot >@ROOT@/var/lib/rancher/k3s/server/db/snapshots/$name-1",
       "no complete etcd snapshot"},
      {"tr a b <@ROOT@/snapshot >@ROOT@/var/lib/rancher/k3s/server/db/snapshots/$name-1",
       "does not match the hash"},
  };
  for (const auto& [action, detail] : cases) {
    SetK3s("v1.31.4+k3s1", action);
    auto backup = backups_.Take(host_.Read(), {.id = "broken"});
    EXPECT_EQ(ReasonOf(backup.status()).code(), v1::SNAPSHOT_FAILED) << action;
    EXPECT_THAT(std::string(backup.status().message()), ::testing::HasSubstr(detail));
    EXPECT_TRUE(absl::IsNotFound(backups_.Find("broken").status()));
  }
}

TEST_F(SnapshotTest, ADamagedBackupIsFoundOut) {
  auto backup = backups_.Take(host_.Read(), {.id = "one"});
  ASSERT_TRUE(backup.ok());
  ASSERT_TRUE(WriteFileDurably(backup->path() + "/token", "other").ok());
  EXPECT_TRUE(absl::IsDataLoss(backups_.Find("one").status()));
}

TEST_F(SnapshotTest, PrunesTheOldest) {
  for (const char* id : {"c-first", "b-second", "a-third"}) {
    ASSERT_TRUE(backups_.Take(host_.Read(), {.id = id, .keep = 2}).ok());
    WaitForTheNextMillisecond();  // they are ordered by their time
  }
  EXPECT_EQ(backups_.Ids(), (std::vector<std::string>{"b-second", "a-third"}));
}

TEST_F(SnapshotTest, TellsWhatItHolds) {
  ASSERT_TRUE(backups_.Take(host_.Read(), {.id = "first", .rollout = "r1"}).ok());
  WaitForTheNextMillisecond();
  ASSERT_TRUE(backups_.Take(host_.Read(), {.id = "second"}).ok());
  const std::vector<v1::StoredBackup> all = backups_.List();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].id(), "second") << "newest first";
  EXPECT_EQ(all[0].rollout(), "");
  EXPECT_EQ(all[1].rollout(), "r1");
  EXPECT_EQ(all[1].version(), "v1.31.4+k3s1");
  EXPECT_EQ(all[1].datastore(), v1::DATASTORE_EMBEDDED_ETCD);
  EXPECT_EQ(all[1].bytes(), 4096u + 32u);
  EXPECT_GT(all[1].taken_unix_ms(), 0);
  EXPECT_EQ(*Sha256OfFile(*backups_.DatastorePath("first")), all[1].sha256());
  EXPECT_TRUE(absl::IsNotFound(backups_.Describe("third").status()));
}

TEST_F(SnapshotTest, NamesNeverLeaveTheFolder) {
  ASSERT_TRUE(backups_.Take(host_.Read(), {.id = "one"}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(backups_.FilePath("one", "../../x").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(backups_.FilePath("..", "token").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(backups_.Take(host_.Read(), {.id = "a/b"}).status()));
  EXPECT_TRUE(absl::IsNotFound(backups_.FilePath("one", "nothing").status()));
}

TEST_F(SnapshotTest, CopiesSqliteWhileItIsWrittenTo) {
  host_.Write("etc/systemd/system/k3s.service", "[Service]\nExecStart=@ROOT@/usr/local/bin/k3s server\n");
  const std::string path = host_.Path("var/lib/rancher/k3s/server/db/state.db");
  ASSERT_TRUE(MakeDirectories(DirName(path)).ok());
  sqlite3* writer = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &writer), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(writer,
                         "PRAGMA journal_mode=WAL; CREATE TABLE kine(id INTEGER, value TEXT);"
                         "INSERT INTO kine VALUES (1, 'committed');"
                         "BEGIN; INSERT INTO kine VALUES (2, 'open');",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  auto backup = backups_.Take(host_.Read(), {.id = "sqlite"});
  sqlite3_close(writer);
  ASSERT_TRUE(backup.ok()) << backup.status();
  sqlite3* copy = nullptr;
  ASSERT_EQ(sqlite3_open((backup->path() + "/state.db").c_str(), &copy), SQLITE_OK);
  std::string rows;
  auto collect = [](void* user, int, char** values, char**) {
    *static_cast<std::string*>(user) += std::string(values[0]) + ";";
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(copy, "SELECT value FROM kine", collect, &rows, nullptr), SQLITE_OK);
  sqlite3_close(copy);
  EXPECT_EQ(rows, "committed;");
}

TEST_F(SnapshotTest, AnExternalDatastoreIsNotOursToCopy) {
  host_.Write("etc/systemd/system/k3s.service",
              "[Service]\nExecStart=@ROOT@/usr/local/bin/k3s server --datastore-endpoint=mysql://x\n");
  EXPECT_EQ(ReasonOf(backups_.Take(host_.Read(), {.id = "x"}).status()).code(), v1::SNAPSHOT_FAILED);
}

}  // namespace
}  // namespace k3saga::node
