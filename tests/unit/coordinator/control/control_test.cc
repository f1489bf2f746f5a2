// Both ends of a running rollout's socket: the server on this thread's loop, the client in a thread of its
// own.
#include <sys/stat.h>

#include <future>
#include <thread>

#include "coordinator/control/control_client.h"
#include "coordinator/control/control_server.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/coordinator/fleet/fake_fleet.h"
#include "tests/unit/coordinator/journal/fake_journal.h"
#include "tests/unit/coordinator/run_until.h"

namespace k3saga::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;

class ControlTest : public testing::Test {
 protected:
  ControlTest() : server_(*ControlServer::Listen(loop_, path_)) {}

  void StartRollout() {
    const driver::Services services{loop_,
                                    clock_,
                                    journal_,
                                    fleet_,
                                    [] { return uint64_t{0}; },
                                    [this](const core::State&) { return std::exchange(next_, {}); }};
    driver_ = std::make_unique<driver::Driver>(services, std::vector<driver::Observer*>{server_.get()},
                                               [](const driver::Finish&) {});
    server_->Serve(driver_.get());
    v1::RolloutCreated created;
    created.set_rollout("r1");
    created.set_holder("ann@laptop:1");
    created.set_epoch(1);
    v1::PlannedNode& node = *created.mutable_plan()->add_nodes();
    node.set_name("s1");
    node.set_role(v1::ROLE_SERVER);
    ASSERT_TRUE(driver_->Start(created).ok());
  }
  void TearDown() override {
    server_.reset();
    driver_.reset();
  }

  // Runs `call` in a thread while this one runs the loop.
  template <typename Call>
  auto WhileLooping(Call call) {
    std::promise<decltype(call())> promise;
    auto future = promise.get_future();
    std::thread thread([&] {
      promise.set_value(call());
      loop_.Post([] {});
    });
    const bool done = RunUntil(
        loop_, [&] { return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
    EXPECT_TRUE(done);
    thread.join();
    return future.get();
  }

  static std::string Name(const v1::WatchReply& reply) {
    if (reply.has_progress()) {
      return reply.progress().node() + " " + reply.progress().progress().phase();
    }
    switch (reply.event().body_case()) {
      case v1::Event::kCreated:
        return "created";
      case v1::Event::kCommand:
        return v1::CommandReceived::Command_Name(reply.event().command().command());
      case v1::Event::kHeld:
        return "held " + reply.event().held().node();
      default:
        return "?";
    }
  }

  TempDir dir_;
  const std::string path_ = dir_ / "my rollout.sock";
  EventLoop loop_;
  SystemClock clock_;
  journal::FakeJournal journal_;
  fleet::FakeFleet fleet_;
  std::vector<v1::Event> next_;
  std::unique_ptr<ControlServer> server_;
  std::unique_ptr<driver::Driver> driver_;
};

TEST_F(ControlTest, TheSocketIsTheUsersAlone) {
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  server_.reset();
  EXPECT_FALSE(Exists(path_));
}

TEST_F(ControlTest, NobodyThereIsUnavailable) {
  ControlClient client(dir_ / "nobody.sock");
  EXPECT_EQ(client.About().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ControlTest, SaysWhichRolloutItRuns) {
  ControlClient client(path_);
  EXPECT_EQ(WhileLooping([&] { return client.About(); }).status().code(), absl::StatusCode::kUnavailable)
      << "before there is a rollout";
  StartRollout();
  auto about = WhileLooping([&] { return client.About(); });
  ASSERT_TRUE(about.ok()) << about.status();
  EXPECT_EQ(about->rollout(), "r1");
  EXPECT_EQ(about->holder(), "ann@laptop:1");
  EXPECT_EQ(about->pid(), getpid());
}

TEST_F(ControlTest, ACommandIsAcceptedOnceItIsDurable) {
  StartRollout();
  ControlClient client(path_);
  auto reply = WhileLooping([&] { return client.Command(v1::CommandReceived::PAUSE, "bob"); });
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_TRUE(reply->accepted());
  EXPECT_TRUE(driver_->state().paused);
  ASSERT_EQ(journal_.rollouts["r1"].size(), 2u);
  EXPECT_EQ(journal_.rollouts["r1"][1].command().by(), "bob");

  journal_.next_commit = absl::ResourceExhaustedError("disk full");
  reply = WhileLooping([&] { return client.Command(v1::CommandReceived::ABORT, "bob"); });
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_FALSE(reply->accepted());
  EXPECT_THAT(reply->message(), HasSubstr("disk full"));
}

TEST_F(ControlTest, AWatcherHearsEverythingSoFarThenWhatComes) {
  for (int i = 0; i < 1'000; ++i) {
    v1::Event held;
    held.mutable_held()->set_node("s1");
    next_.push_back(held);
  }
  StartRollout();
  ControlClient client(path_);
  std::vector<std::string> heard;
  const absl::Status status = WhileLooping([&] {
    return client.Watch(0, [&](const v1::WatchReply& reply) {
      heard.push_back(Name(reply));
      if (heard.size() == 1'001) {
        loop_.Post([&] {
          v1::Progress progress;
          progress.set_phase("download");
          server_->OnProgress(1, "s1", progress);
          driver_->Command(v1::CommandReceived::PAUSE, "ann", nullptr);
        });
      }
      return heard.size() < 1'003;
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(heard.front(), "created");
  EXPECT_THAT(heard, IsSupersetOf({"s1 download", "PAUSE"}));
}

TEST_F(ControlTest, AWatcherMayBeginInTheMiddle) {
  StartRollout();
  driver_->Command(v1::CommandReceived::PAUSE, "ann", nullptr);
  ControlClient client(path_);
  std::vector<std::string> heard;
  EXPECT_TRUE(WhileLooping([&] {
                return client.Watch(1, [&](const v1::WatchReply& reply) {
                  heard.push_back(Name(reply));
                  return false;
                });
              }).ok());
  EXPECT_THAT(heard, ElementsAre("PAUSE"));
}

TEST_F(ControlTest, TheLastEventsReachAWatcherWhenTheProcessLeaves) {
  StartRollout();
  ControlClient client(path_);
  std::vector<std::string> heard;
  const absl::Status status = WhileLooping([&] {
    return client.Watch(0, [&](const v1::WatchReply& reply) {
      heard.push_back(Name(reply));
      if (heard.size() == 1) {
        loop_.Post([&] {
          driver_->Command(v1::CommandReceived::ABORT, "ann", [&](const absl::Status&) { server_.reset(); });
        });
      }
      return true;
    });
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(heard, ElementsAre("created", "ABORT"));
}

TEST_F(ControlTest, AQuestionThatTheLoopNeverGetsToIsAnsweredByTheEnd) {
  StartRollout();
  ControlClient client(path_);
  absl::StatusOr<v1::AboutReply> about;
  std::thread asker([&] { about = client.About(std::chrono::seconds(60)); });
  // The loop does not run; the question arrives some time before or after the end.
  server_.reset();
  asker.join();
  EXPECT_EQ(about.status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace k3saga::control
