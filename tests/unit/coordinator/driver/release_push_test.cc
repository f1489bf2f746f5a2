// A release that this machine fetches for its nodes, through a whole driver.
#include <algorithm>

#include "common/reason.h"
#include "tests/support/release_server.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/coordinator/driver/driver_fixture.h"

namespace k3saga::driver {
namespace {

using ::testing::SizeIs;

class ReleasePushTest : public DriverTest {
 protected:
  ReleasePushTest() {
    release_cache_ = dir_.path();
    server_.PutRelease(std::string(1 << 20, 'k'));
  }

  // Four workers, the last of another architecture, are asked to stage it.
  absl::Status StageAll() {
    v1::OperationSpec spec = StageSpec();
    v1::Release& release = *spec.mutable_stage()->mutable_release();
    release.set_version("v1.32.0+k3s1");
    v1::ReleaseSource& source = *release.add_sources();
    source.set_kind(v1::ReleaseSource::COORDINATOR);
    source.set_location(server_.Url());
    v1::RolloutCreated created = Created();
    for (v1::PlannedNode& node : *created.mutable_plan()->mutable_nodes()) {
      node.set_architecture(node.name() == "w4" ? "arm64" : "amd64");
    }
    MakeDriver();
    next_ = {Issue(1, "w1", spec), Issue(2, "w2", spec), Issue(3, "w3", spec), Issue(4, "w4", spec)};
    return driver_->Start(created);
  }
  int Gets(const std::string& file) {
    const std::vector<std::string> all = server_.Requests();
    return static_cast<int>(std::count_if(all.begin(), all.end(), [&](const std::string& request) {
      return request.find(absl::StrCat("/", file, " ")) != std::string::npos;
    }));
  }

  TempDir dir_;
  k3saga::testing::ReleaseServer server_;
};

TEST_F(ReleasePushTest, OneDownloadServesEveryNode) {
  ASSERT_TRUE(StageAll().ok());
  EXPECT_THAT(fleet_.runs, SizeIs(0));
  size_t answered = 0;
  ASSERT_TRUE(loop_.RunUntil([&] {
    while (answered < fleet_.uploads.size()) {
      const auto done = fleet_.uploads[answered++].callback;  // makes the next one
      done(v1::UploadReply());
    }
    return fleet_.runs.size() == 4;
  }));
  EXPECT_EQ(Gets("k3s"), 1);
  EXPECT_EQ(Gets("k3s-arm64"), 1);
  EXPECT_THAT(fleet_.uploads, SizeIs(8));
  for (const auto& upload : fleet_.uploads) {
    const std::string& name = upload.request.file.file_name;
    EXPECT_EQ(name.find("arm64") != std::string::npos, upload.node == "w4") << upload.node << " " << name;
  }
  EXPECT_NE(std::find(progress_.begin(), progress_.end(), "w1 1 fetch"), progress_.end());
}

TEST_F(ReleasePushTest, AStaleClaimIsARefusalAndNoMissingRelease) {
  ASSERT_TRUE(StageAll().ok());
  ASSERT_TRUE(loop_.RunUntil([&] { return !fleet_.uploads.empty(); }));
  const auto done = fleet_.uploads[0].callback;
  const std::string node = fleet_.uploads[0].node;
  done(WithReason(absl::FailedPreconditionError(absl::StrCat("agent of ", node, ": stale")),
                  MakeReason(v1::STALE_EPOCH, kRollout, "lower than the current epoch")));
  const auto settled = [&] { return driver_->state().open_operations.size() < 4; };
  ASSERT_TRUE(loop_.RunUntil(settled));
  const v1::Outcome& outcome = driver_->events().back().settled().outcome();
  EXPECT_EQ(outcome.code(), v1::Outcome::REFUSED);
  EXPECT_EQ(outcome.reason().code(), v1::STALE_EPOCH);
}

TEST_F(ReleasePushTest, NothingIsPushedOfWhatDoesNotMatchItsChecksum) {
  server_.Put("k3s", "tampered");
  ASSERT_TRUE(StageAll().ok());
  const auto settled = [&] { return driver_->state().open_operations.empty(); };
  ASSERT_TRUE(loop_.RunUntil(settled));
  EXPECT_THAT(fleet_.uploads, SizeIs(0));
  EXPECT_THAT(fleet_.runs, SizeIs(0));
  std::vector<v1::Outcome> outcomes;
  for (const v1::Event& event : driver_->events()) {
    if (event.has_settled()) outcomes.push_back(event.settled().outcome());
  }
  EXPECT_THAT(outcomes, SizeIs(4));
  for (const v1::Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.code(), v1::Outcome::FAILED);
    EXPECT_EQ(outcome.node_state(), v1::Outcome::UNTOUCHED);
    EXPECT_EQ(outcome.reason().code(), v1::CHECKSUM_MISMATCH);
  }
}

}  // namespace
}  // namespace k3saga::driver
