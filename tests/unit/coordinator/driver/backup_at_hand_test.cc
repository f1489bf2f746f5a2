#include "coordinator/driver/backup_at_hand.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "common/host/files.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/coordinator/fleet/fake_fleet.h"
#include "tests/unit/coordinator/manual_loop.h"

namespace k3saga::driver {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class BackupAtHandTest : public testing::Test {
 protected:
  void AddCopy() {
    const nlohmann::json file = {{"sha256", Sha256Of("data")}, {"bytes", 4}};
    const nlohmann::json manifest = {
        {"node", "s2"}, {"datastore_file", "snapshot"}, {"files", {{"snapshot", file}}}};
    dir_.Write("b1/snapshot", "data", 0600);
    dir_.Write("b1/manifest.json", manifest.dump(), 0600);
  }
  void Look(const std::string& copies) {
    BackupAtHand::Job job;
    job.node = "s2";
    job.authority.set_epoch(5);
    job.backup_id = "b1";
    job.copies = copies;
    job.deadline = seconds(60);
    job.progress = [](const v1::Progress&) {};
    job.done = [this](absl::StatusOr<bool> brought) { answer_ = std::move(brought); };
    at_hand_ = std::make_unique<BackupAtHand>(
        OperationFollower::Edge{loop_, loop_, fleet_, [] { return uint64_t{0}; }}, std::move(job));
  }
  void SayItIs(bool sound) {
    v1::VerifyBackupReply reply;
    reply.set_sound(sound);
    if (!sound) reply.set_problem("snapshot is damaged or gone");
    fleet_.verifications.back().callback(reply);
  }
  void SayThereIsNone() { fleet_.verifications.back().callback(absl::NotFoundError("no such backup")); }
  // Takes what is sent, until the node is asked to read again.
  std::vector<std::string> Take() {
    std::vector<std::string> names;
    const size_t read = fleet_.verifications.size();
    while (fleet_.verifications.size() == read && !answer_) {
      const size_t next = names.size();
      if (!loop_.RunUntil([&] { return fleet_.uploads.size() > next || answer_; }) || answer_) break;
      EXPECT_EQ(fleet_.uploads[next].node, "s2");
      EXPECT_EQ(fleet_.uploads[next].request.authority.epoch(), 5u);
      names.push_back(fleet_.uploads[next].request.file.file_name);
      fleet_.uploads[next].callback(v1::UploadReply());
    }
    return names;
  }

  TempDir dir_;
  ManualLoop loop_;
  fleet::FakeFleet fleet_;
  std::optional<absl::StatusOr<bool>> answer_;
  std::unique_ptr<BackupAtHand> at_hand_;
};

TEST_F(BackupAtHandTest, WhatIsWholeIsLeftAlone) {
  AddCopy();
  Look(dir_.path());
  SayItIs(true);
  ASSERT_TRUE(answer_ && answer_->ok());
  EXPECT_FALSE(**answer_);
  EXPECT_THAT(fleet_.uploads, IsEmpty());
}

TEST_F(BackupAtHandTest, WhatIsGoneIsBroughtAndReadThere) {
  AddCopy();
  Look(dir_.path());
  SayThereIsNone();
  EXPECT_THAT(Take(), ElementsAre("snapshot", "manifest.json"));
  EXPECT_FALSE(answer_.has_value()) << "not before it was read there";
  SayItIs(true);
  ASSERT_TRUE(answer_ && answer_->ok());
  EXPECT_TRUE(**answer_);
}

TEST_F(BackupAtHandTest, WhatIsDamagedThereAsWellIsOfNoUse) {
  AddCopy();
  Look(dir_.path());
  SayItIs(false);
  Take();
  SayItIs(false);
  ASSERT_TRUE(answer_.has_value());
  EXPECT_TRUE(absl::IsDataLoss(answer_->status()));
  EXPECT_THAT(std::string(answer_->status().message()), HasSubstr("also once its copy was brought"));
}

TEST_F(BackupAtHandTest, SaysWhatIsMissingWhereNoCopyHelps) {
  Look("");
  SayThereIsNone();
  ASSERT_TRUE(answer_.has_value());
  EXPECT_EQ(answer_->status().message(), "s2 has no backup b1 (any more)");

  answer_.reset();
  AddCopy();
  dir_.Write("b1/snapshot", "date", 0600);
  Look(dir_.path());
  SayItIs(false);
  EXPECT_THAT(Take(), IsEmpty()) << "nothing damaged is sent";
  ASSERT_TRUE(answer_.has_value());
  EXPECT_TRUE(absl::IsDataLoss(answer_->status()));
  EXPECT_THAT(std::string(answer_->status().message()), HasSubstr("snapshot is damaged or gone"));
}

TEST_F(BackupAtHandTest, AnAgentThatIsAwayIsAskedAgainUntilTheDeadline) {
  Look(dir_.path());
  fleet_.verifications.back().callback(absl::UnavailableError("agent of s2: reset"));
  loop_.Pass(RetryDelay(0, 0));
  ASSERT_EQ(fleet_.verifications.size(), 2u);
  for (int i = 0; i < 100 && !answer_; ++i) {
    fleet_.verifications.back().callback(absl::UnavailableError("agent of s2: reset"));
    loop_.Pass(seconds(10));
  }
  ASSERT_TRUE(answer_.has_value());
  EXPECT_TRUE(absl::IsDeadlineExceeded(answer_->status()));
}

}  // namespace
}  // namespace k3saga::driver
