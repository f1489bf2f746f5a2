#include "coordinator/driver/file_push.h"

#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include "common/host/files.h"
#include "common/reason.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/coordinator/fleet/fake_fleet.h"
#include "tests/unit/coordinator/manual_loop.h"

namespace k3saga::driver {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr char kVersion[] = "v1.32.0+k3s1";

class FilePushTest : public testing::Test {
 protected:
  FilePushTest() {
    release_.set_version(kVersion);
    v1::ReleaseSource& source = *release_.add_sources();
    source.set_kind(v1::ReleaseSource::COORDINATOR);
    source.set_location(dir_.path());
    for (const char* name : {"k3s", "k3s-arm64", "sha256sum-amd64.txt", "sha256sum-arm64.txt", "README",
                             "k3s-airgap-images-amd64.tar.zst"}) {
      dir_.Write(absl::StrCat(kVersion, "/", name), name);
    }
  }

  struct Answer {
    std::optional<absl::Status> status;
    std::vector<uint32_t> percents;
  };
  fleet::CallHandle Push(const std::string& node, const std::string& architecture, Answer& answer) {
    if (!push_) {
      push_.emplace(OperationFollower::Edge{loop_, loop_, fleet_, [] { return uint64_t{0}; }},
                    [this](const FetchMoved& moved) {
                      lists_ = lists_ + 1;
                      fetch_(moved);
                      return ListPushedFiles(release_);
                    });
    }
    FilePush::Job job;
    job.node = node;
    job.architecture = architecture;
    job.authority.set_epoch(5);
    job.deadline = std::chrono::seconds(60);
    job.progress = [&answer](const v1::Progress& progress) { answer.percents.push_back(progress.percent()); };
    job.done = [&answer](absl::Status status) { answer.status = std::move(status); };
    return push_->Push(std::move(job));
  }
  bool AwaitUploads(size_t count) {
    return loop_.RunUntil([&] { return fleet_.uploads.size() >= count; });
  }
  void Finish(size_t i, const absl::Status& status) {
    auto done = fleet_.uploads[i].callback;
    if (status.ok()) {
      done(v1::UploadReply());
    } else {
      done(status);
    }
    loop_.RunPosted();
  }

  TempDir dir_;
  v1::Release release_;
  ManualLoop loop_;
  fleet::FakeFleet fleet_;
  std::atomic<int> lists_{0};
  std::function<void(const FetchMoved&)> fetch_ = [](const FetchMoved&) {};  // as a release cache would
  std::optional<FilePush> push_;
};

TEST_F(FilePushTest, ListsEachFileWithItsHashAndArchitecture) {
  auto files = ListPushedFiles(release_);
  ASSERT_TRUE(files.ok()) << files.status();
  std::vector<std::string> names;
  for (const PushedFile& pushed : *files) {
    names.push_back(pushed.architecture + " " + pushed.file.file_name);
    EXPECT_EQ(pushed.file.release_version, kVersion);
    EXPECT_EQ(pushed.file.bytes, pushed.file.file_name.size());
    EXPECT_EQ(pushed.file.sha256, Sha256Of(pushed.file.file_name));
  }
  EXPECT_THAT(names, UnorderedElementsAre("amd64 k3s", "arm64 k3s-arm64", "amd64 sha256sum-amd64.txt",
                                          "arm64 sha256sum-arm64.txt"));
  release_.set_images(true);
  EXPECT_EQ(ListPushedFiles(release_)->size(), 5u);
}

TEST_F(FilePushTest, SaysWhatIsMissing) {
  ASSERT_TRUE(RemoveFileDurably(dir_ / "v1.32.0+k3s1/sha256sum-amd64.txt").ok());
  ASSERT_TRUE(RemoveFileDurably(dir_ / "v1.32.0+k3s1/sha256sum-arm64.txt").ok());
  EXPECT_THAT(std::string(ListPushedFiles(release_).status().message()), HasSubstr("no sha256sum-ARCH.txt"));
  dir_.Write("v1.32.0+k3s1/sha256sum-amd64.txt", "x");
  ASSERT_TRUE(RemoveFileDurably(dir_ / "v1.32.0+k3s1/k3s").ok());
  ASSERT_TRUE(RemoveFileDurably(dir_ / "v1.32.0+k3s1/k3s-arm64").ok());
  EXPECT_THAT(std::string(ListPushedFiles(release_).status().message()), HasSubstr("no k3s binary"));
  release_.set_version("v1.99.0+k3s1");
  EXPECT_EQ(ListPushedFiles(release_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(FilePushTest, PushesTheInstallerAsItsHashPromises) {
  EXPECT_TRUE(PushesFiles(release_));
  release_.clear_sources();
  EXPECT_FALSE(PushesFiles(release_));
  release_.mutable_installer()->set_kind(v1::Installer::COORDINATOR);
  release_.mutable_installer()->set_location(dir_.Write("my-install.sh", "#!/bin/sh\n"));
  EXPECT_TRUE(PushesFiles(release_));
  auto files = ListPushedFiles(release_);
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 1u);
  EXPECT_EQ(files->front().file.release_version, "");
  release_.mutable_installer()->set_sha256("00");
  EXPECT_EQ(ListPushedFiles(release_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(FilePushTest, SendsANodeWhatItsArchitectureNeeds) {
  Answer answer;
  fleet::CallHandle call = Push("w1", "arm64", answer);
  ASSERT_TRUE(AwaitUploads(1));
  EXPECT_EQ(fleet_.uploads[0].node, "w1");
  EXPECT_EQ(fleet_.uploads[0].request.authority.epoch(), 5u);
  fleet_.uploads[0].request.moved(3, 6);
  fleet_.uploads[0].request.moved(3, 6);
  fleet_.uploads[0].request.moved(6, 6);
  EXPECT_THAT(answer.percents, ElementsAre(50u, 100u));
  Finish(0, absl::OkStatus());
  ASSERT_EQ(fleet_.uploads.size(), 2u);
  Finish(1, absl::OkStatus());
  ASSERT_TRUE(answer.status.has_value());
  EXPECT_TRUE(answer.status->ok());
  std::vector<std::string> names;
  for (const auto& upload : fleet_.uploads) names.push_back(upload.request.file.file_name);
  EXPECT_THAT(names, UnorderedElementsAre("k3s-arm64", "sha256sum-arm64.txt"));
}

TEST_F(FilePushTest, GoesOnAfterABreakAndGivesUpOnlyAtItsDeadline) {
  Answer answer;
  fleet::CallHandle call = Push("w1", "amd64", answer);
  ASSERT_TRUE(AwaitUploads(1));
  Finish(0, absl::UnavailableError("agent of w1: reset"));
  loop_.Pass(RetryDelay(0, 0));
  ASSERT_EQ(fleet_.uploads.size(), 2u);
  EXPECT_EQ(fleet_.uploads[0].request.file.file_name, fleet_.uploads[1].request.file.file_name);
  EXPECT_FALSE(answer.status.has_value());
  loop_.Pass(std::chrono::seconds(60));
  ASSERT_TRUE(answer.status.has_value());
  EXPECT_EQ(answer.status->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(answer.status->message()), HasSubstr("reset"));
}

TEST_F(FilePushTest, ARefusalIsFinalAtOnce) {
  const absl::Status refusals[] = {
      WithReason(absl::FailedPreconditionError("agent of w1: stale"),
                 MakeReason(v1::STALE_EPOCH, "r1", "stale")),
      absl::PermissionDeniedError("agent of w1: another cluster"),
      absl::ResourceExhaustedError("agent of w1: no room"),
      absl::InvalidArgumentError("agent of w1: no plain file name"),
  };
  for (const absl::Status& refusal : refusals) {
    Answer answer;
    fleet::CallHandle call = Push("w1", "amd64", answer);
    const size_t before = fleet_.uploads.size();
    ASSERT_TRUE(AwaitUploads(before + 1));
    Finish(before, refusal);
    ASSERT_TRUE(answer.status.has_value()) << refusal;
    EXPECT_EQ(*answer.status, refusal) << "with its reason";
    EXPECT_EQ(fleet_.uploads.size(), before + 1);
  }
}

TEST_F(FilePushTest, WhatMayPassIsAskedAgain) {
  const absl::Status breaks[] = {
      absl::UnavailableError("reset"),   absl::AbortedError("not announced"),
      absl::DataLossError("damaged"),    absl::OutOfRangeError("a hole"),
      absl::InternalError("RST_STREAM"), absl::CancelledError("shutting down"),
  };
  Answer answer;
  fleet::CallHandle call = Push("w1", "amd64", answer);
  int tries = 0;
  for (const absl::Status& broken : breaks) {
    ASSERT_TRUE(AwaitUploads(static_cast<size_t>(tries) + 1));
    Finish(static_cast<size_t>(tries), broken);
    loop_.Pass(RetryDelay(tries++, 0));
    EXPECT_FALSE(answer.status.has_value()) << broken;
  }
}

TEST_F(FilePushTest, SendsToAFewNodesAtATime) {
  std::vector<Answer> answers(20);
  std::vector<fleet::CallHandle> calls;
  for (size_t i = 0; i < answers.size(); ++i) {
    calls.push_back(Push(absl::StrCat("w", i), "amd64", answers[i]));
  }
  ASSERT_TRUE(AwaitUploads(FilePush::kNodesAtATime));
  loop_.RunPosted();
  EXPECT_EQ(fleet_.uploads.size(), FilePush::kNodesAtATime);
  calls[0].reset();  // somebody lost interest: the place is free
  loop_.RunPosted();
  EXPECT_EQ(fleet_.uploads.size(), FilePush::kNodesAtATime + 1);
  calls[19].reset();  // still waiting
  for (size_t i = 1; i < fleet_.uploads.size(); ++i) Finish(i, absl::OkStatus());
  int done = 0;
  for (const Answer& answer : answers) done += answer.status.has_value() && answer.status->ok() ? 1 : 0;
  EXPECT_EQ(done, 18);
}

TEST_F(FilePushTest, AFolderThatIsNotThereIsEveryNodesAnswer) {
  release_.set_version("v1.99.0+k3s1");
  Answer answer;
  fleet::CallHandle call = Push("w1", "", answer);
  ASSERT_TRUE(loop_.RunUntil([&] { return answer.status.has_value(); }));
  EXPECT_EQ(answer.status->code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(fleet_.uploads.empty());
}

TEST_F(FilePushTest, OneFetchServesAllAndItsFailureIsNotTheLastWord) {
  const std::string missing = dir_ / "v1.32.0+k3s1/k3s";
  ASSERT_TRUE(RenameDurably(missing, missing + ".away").ok());
  ASSERT_TRUE(RenameDurably(missing + "-arm64", missing + ".gone").ok());
  fetch_ = [](const FetchMoved& moved) {
    for (const uint64_t done : {1, 1, 2}) EXPECT_TRUE(moved("k3s", done, 4));
    EXPECT_TRUE(moved("k3s", 3, 0)) << "of unknown size: nothing to tell";
  };
  Answer one;
  Answer two;
  fleet::CallHandle first = Push("w1", "amd64", one);
  fleet::CallHandle second = Push("w2", "amd64", two);
  ASSERT_TRUE(loop_.RunUntil([&] { return one.status.has_value() && two.status.has_value(); }));
  EXPECT_EQ(one.status->code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(two.status->code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(lists_, 1);
  EXPECT_THAT(one.percents, ElementsAre(25u, 50u));
  EXPECT_THAT(two.percents, ElementsAre(25u, 50u));

  ASSERT_TRUE(RenameDurably(missing + ".away", missing).ok());
  fetch_ = [](const FetchMoved&) {};
  Answer again;
  fleet::CallHandle third = Push("w1", "amd64", again);
  ASSERT_TRUE(AwaitUploads(1));
  EXPECT_EQ(lists_, 2);
}

TEST_F(FilePushTest, StopsAFetchThatNobodyWaitsFor) {
  fetch_ = [](const FetchMoved& moved) {
    while (moved("k3s", 1, 4)) std::this_thread::yield();
  };
  Answer answer;
  fleet::CallHandle call = Push("w1", "amd64", answer);
  ASSERT_TRUE(loop_.RunUntil([&] { return !answer.percents.empty(); }));
  call.reset();
  push_.reset();  // returns
  EXPECT_FALSE(answer.status.has_value());
}

}  // namespace
}  // namespace k3saga::driver
