#include <nlohmann/json.hpp>
#include <optional>

#include "common/host/files.h"
#include "coordinator/driver/backup_copies.h"
#include "coordinator/driver/external_backup.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/coordinator/manual_loop.h"

namespace k3saga::driver {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CopiesTest : public testing::Test {
 protected:
  void Add(const std::string& id, int64_t taken) {
    const nlohmann::json file = {{"sha256", Sha256Of("data")}, {"bytes", 4}};
    const nlohmann::json manifest = {{"id", id},
                                     {"node", "s1"},
                                     {"version", "v1.31.4+k3s1"},
                                     {"taken_unix_ms", taken},
                                     {"datastore", "DATASTORE_EMBEDDED_ETCD"},
                                     {"cluster_id", "uid"},
                                     {"datastore_file", "snapshot"},
                                     {"files", {{"snapshot", file}}}};
    dir_.Write(id + "/snapshot", "data", 0600);
    dir_.Write(id + "/manifest.json", manifest.dump(), 0600);
  }
  std::vector<std::string> Ids() {
    std::vector<std::string> ids;
    for (const CopiedBackup& copy : ListCopies(dir_.path())) ids.push_back(copy.backup.id());
    return ids;
  }

  TempDir dir_;
};

TEST_F(CopiesTest, AreListedByTheirTime) {
  EXPECT_TRUE(ListCopies(dir_ / "nowhere").empty());
  Add("b", 2);
  Add("a", 3);
  Add("c", 1);
  dir_.Write("half/snapshot", "data", 0600);  // a copy that was not finished
  dir_.Write("odd/manifest.json", R"({"taken_unix_ms": "soon"})", 0600);
  EXPECT_THAT(Ids(), ElementsAre("a", "b", "c"));
  const CopiedBackup first = ListCopies(dir_.path()).front();
  EXPECT_EQ(first.node, "s1");
  EXPECT_EQ(first.path, dir_ / "a");
  EXPECT_EQ(first.backup.version(), "v1.31.4+k3s1");
  EXPECT_EQ(first.backup.bytes(), 4u);
  EXPECT_EQ(first.backup.sha256(), Sha256Of("data"));
  EXPECT_EQ(first.backup.datastore(), v1::DATASTORE_EMBEDDED_ETCD);
  EXPECT_EQ(first.backup.cluster_id(), "uid");
}

TEST_F(CopiesTest, AreReadToBeVerified) {
  Add("a", 1);
  EXPECT_TRUE(VerifyCopy(dir_.path(), "a").ok());
  EXPECT_TRUE(absl::IsNotFound(VerifyCopy(dir_.path(), "b")));
  dir_.Write("a/snapshot", "date", 0600);
  EXPECT_TRUE(absl::IsDataLoss(VerifyCopy(dir_.path(), "a")));
}

TEST_F(CopiesTest, ArePushedWithTheirManifestLast) {
  Add("a", 1);
  const auto files = FilesOfCopy(dir_.path(), "a");
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].file.file_name, "snapshot");
  EXPECT_EQ((*files)[0].file.sha256, Sha256Of("data"));
  EXPECT_EQ((*files)[0].file.bytes, 4u);
  EXPECT_EQ((*files)[1].file.file_name, "manifest.json");
  EXPECT_EQ((*files)[1].file.release_version, "backup/a");
  dir_.Write("a/snapshot", "date", 0600);
  EXPECT_TRUE(absl::IsDataLoss(FilesOfCopy(dir_.path(), "a").status())) << "nothing damaged is pushed";
}

TEST_F(CopiesTest, ArePrunedByCountButForTheNamedOne) {
  for (int i = 0; i < 5; ++i) Add(std::string(1, static_cast<char>('a' + i)), i);
  ASSERT_TRUE(PruneCopies(dir_.path(), 0, "").ok());
  EXPECT_EQ(Ids().size(), 5u);
  ASSERT_TRUE(PruneCopies(dir_.path(), 2, "a").ok());
  EXPECT_THAT(Ids(), ElementsAre("e", "d", "a"));
}

class ExternalBackupTest : public testing::Test {
 protected:
  v1::Outcome Run(std::vector<std::string> argv,
                  std::chrono::milliseconds deadline = std::chrono::seconds(60)) {
    std::optional<v1::Outcome> heard;
    const ExternalBackup backup(loop_, {std::move(argv), "r1", "k3saga-r1", deadline},
                                [&](v1::Outcome outcome) { heard = std::move(outcome); });
    EXPECT_TRUE(loop_.RunUntil([&] { return heard.has_value(); }));
    return heard.value_or(v1::Outcome());
  }

  TempDir dir_;
  ManualLoop loop_;
};

TEST_F(ExternalBackupTest, ExitZeroIsABackup) {
  const std::string seen = dir_ / "seen";
  const std::string script =
      dir_.Write("dump", "#!/bin/sh\necho \"$1 $K3SAGA_ROLLOUT $K3SAGA_BACKUP\" >" + seen + "\n", 0755);
  const v1::Outcome outcome = Run({script, "a b; c"});
  EXPECT_EQ(outcome.code(), v1::Outcome::SUCCEEDED);
  EXPECT_EQ(outcome.backup().id(), "k3saga-r1");
  EXPECT_GT(outcome.backup().taken_unix_ms(), 0);
  EXPECT_EQ(*ReadFile(seen), "a b; c r1 k3saga-r1\n") << "no shell between";
}

TEST_F(ExternalBackupTest, AnythingElseIsNone) {
  const std::string script = dir_.Write("dump", "#!/bin/sh\necho the database is away >&2\nexit 3\n", 0755);
  const v1::Outcome failed = Run({script});
  EXPECT_EQ(failed.code(), v1::Outcome::FAILED);
  EXPECT_EQ(failed.reason().code(), v1::SNAPSHOT_FAILED);
  EXPECT_THAT(failed.reason().detail(), HasSubstr("the database is away"));
  EXPECT_EQ(Run({"/no/such/program"}).reason().code(), v1::SNAPSHOT_FAILED);
  EXPECT_EQ(Run({}).reason().code(), v1::BACKUP_MISSING);
  EXPECT_EQ(Run({"/bin/sleep", "600"}, std::chrono::milliseconds(100)).reason().code(), v1::TIMED_OUT);
}

}  // namespace
}  // namespace k3saga::driver
