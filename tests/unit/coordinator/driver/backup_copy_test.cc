#include "coordinator/driver/backup_copy.h"

#include <sys/stat.h>

#include <optional>

#include "common/host/files.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/coordinator/fleet/fake_fleet.h"
#include "tests/unit/coordinator/manual_loop.h"

namespace k3saga::driver {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Manifest(const std::string& snapshot, const std::string& token) {
  return absl::StrCat(R"({"id":"b1","files":{"snapshot":{"sha256":")", Sha256Of(snapshot),
                      R"(","bytes":1},"token":{"sha256":")", Sha256Of(token), R"(","bytes":1}}})");
}

TEST(ParseBackupManifest, TakesOnlyPlainNamesWithHashes) {
  auto files = ParseBackupManifest(Manifest("a", "b"));
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].name, "snapshot");
  for (const char* bad : {"", "[]", "{}", R"({"files":[]})", R"({"files":{"../x":{"sha256":"0"}}})",
                          R"({"files":{".ssh":{"sha256":"0"}}})", R"({"files":{"a/b":{"sha256":"0"}}})",
                          R"({"files":{"a":{}}})", R"({"files":{"a":{"sha256":7}}})"}) {
    EXPECT_EQ(ParseBackupManifest(bad).status().code(), absl::StatusCode::kDataLoss) << bad;
  }
}

class BackupCopyTest : public testing::Test {
 protected:
  void Copy(const std::string& id = "b1") {
    done_.reset();
    copy_.emplace(OperationFollower::Edge{loop_, loop_, fleet_, [] { return uint64_t{0}; }},
                  BackupCopy::Job{"s1", v1::Authority(), id, dir_ / "copies", std::chrono::seconds(60),
                                  [](const v1::Progress&) {},
                                  [this](absl::Status status) { done_ = std::move(status); }});
  }
  // Waits for the n-th question (from 0) or the end; the name asked for, "" at the end.
  std::string Asked(size_t n) {
    EXPECT_TRUE(loop_.RunUntil([&] { return fleet_.downloads.size() > n || done_.has_value(); }));
    return fleet_.downloads.size() > n ? fleet_.downloads[n].request.file.file_name : "";
  }
  void Give(size_t n, const std::string& content) {
    dir_.Write(absl::StrCat("copies/b1/", fleet_.downloads[n].request.file.file_name), content, 0600);
    auto done = fleet_.downloads[n].callback;
    done(content.size());
  }
  void Fail(size_t n, const absl::Status& status) {
    auto done = fleet_.downloads[n].callback;
    done(status);
  }
  bool AwaitEnd() {
    return loop_.RunUntil([&] { return done_.has_value(); });
  }

  TempDir dir_;
  ManualLoop loop_;
  fleet::FakeFleet fleet_;
  std::optional<BackupCopy> copy_;
  std::optional<absl::Status> done_;
};

TEST_F(BackupCopyTest, ReadsEveryFileThatTheManifestNames) {
  Copy();
  ASSERT_EQ(Asked(0), "manifest.json");
  EXPECT_EQ(fleet_.downloads[0].node, "s1");
  EXPECT_EQ(fleet_.downloads[0].request.file.path, dir_ / "copies/b1/manifest.json");
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "copies/b1").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  Give(0, Manifest("data", "secret"));
  ASSERT_EQ(Asked(1), "snapshot");
  Give(1, "data");
  ASSERT_EQ(Asked(2), "token");
  Give(2, "secret");
  ASSERT_TRUE(AwaitEnd());
  EXPECT_TRUE(done_->ok()) << *done_;
  EXPECT_EQ(loop_.timers(), 0u);
}

TEST_F(BackupCopyTest, WhatIsThereAndRightIsNotReadAgain) {
  dir_.Write("copies/b1/snapshot", "data", 0600);
  dir_.Write("copies/b1/token", "another", 0600);
  Copy();
  ASSERT_EQ(Asked(0), "manifest.json");
  Give(0, Manifest("data", "secret"));
  ASSERT_EQ(Asked(1), "token");
  Give(1, "secret");
  ASSERT_TRUE(AwaitEnd());
  EXPECT_TRUE(done_->ok()) << *done_;
}

TEST_F(BackupCopyTest, AFileThatIsWrongIsNotKept) {
  Copy();
  ASSERT_EQ(Asked(0), "manifest.json");
  Give(0, Manifest("data", "secret"));
  ASSERT_EQ(Asked(1), "snapshot");
  Give(1, "dat");
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(done_->code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(Exists(dir_ / "copies/b1/snapshot"));
}

TEST_F(BackupCopyTest, RidesOutABreakAndEndsAtItsDeadline) {
  Copy();
  ASSERT_EQ(Asked(0), "manifest.json");
  Fail(0, absl::UnavailableError("agent of s1: reset"));
  loop_.Pass(RetryDelay(0, 0));
  ASSERT_EQ(Asked(1), "manifest.json");
  loop_.Pass(std::chrono::seconds(60));
  ASSERT_TRUE(done_.has_value());
  EXPECT_EQ(done_->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(done_->message()), HasSubstr("reset"));
}

TEST_F(BackupCopyTest, WhatWillNotGetBetterEndsItAtOnce) {
  Copy();
  ASSERT_EQ(Asked(0), "manifest.json");
  Fail(0, absl::NotFoundError("agent of s1: no such backup"));
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(done_->code(), absl::StatusCode::kNotFound);
  Copy("../b1");
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(done_->code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace k3saga::driver
