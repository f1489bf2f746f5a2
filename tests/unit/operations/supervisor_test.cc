#include "agent/operations/supervisor.h"

#include <gtest/gtest.h>

#include <thread>

#include "agent/operations/operation_process.h"
#include "agent/operations/process_lock.h"
#include "common/reason.h"
#include "tests/unit/operations/fakes.h"
#include "tests/unit/operations/testing.h"

namespace k3saga::operations {
namespace {

using std::chrono::milliseconds;

// Runs an operation's process as a thread with a journal of its own; can be killed in the middle.
class ThreadLauncher final : public Launcher {
 public:
  ThreadLauncher(std::string journal, std::string lock, Effects* effects)
      : journal_(std::move(journal)), lock_(std::move(lock)), effects_(effects) {}
  ~ThreadLauncher() override { Kill(); }

  absl::Status Launch(const v1::OperationId& id, bool first) override {
    const std::lock_guard guard(mutex_);
    launches.push_back(first ? "first" : "again");
    if (!error.ok()) return error;
    if (stillborn) return absl::OkStatus();
    process_ = std::jthread([this, id](const std::stop_token& stop) {
      Journal::Options existing;
      existing.create = false;
      auto journal = Journal::Open(journal_, existing, &clock_);
      OperationProcess process;
      process.journal = journal->get();
      process.effects = effects_;
      process.clock = &clock_;
      process.pauser = &pauser_;
      process.boot_id = "boot-1";
      process.lock_path = lock_;
      process.look_every = milliseconds(5);
      (void)process.Run(id, stop);
    });
    return absl::OkStatus();
  }
  absl::StatusOr<bool> Running() override { return ProcessLock::IsHeld(lock_); }

  void Kill() {
    const std::lock_guard guard(mutex_);
    process_ = {};
  }

  std::vector<std::string> launches;  // read when nothing runs
  absl::Status error;
  bool stillborn = false;

 private:
  const std::string journal_;
  const std::string lock_;
  Effects* const effects_;
  SystemClock clock_;
  SystemPauser pauser_;
  std::mutex mutex_;
  std::jthread process_;
};

class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest() { Restart(); }

  // The agent's process ends (and what it runs with it) and begins again.
  void Restart() {
    supervisor_.reset();
    journal_.reset();
    journal_ = *Journal::Open(folder_ / "journal.db", {}, &clock_);
    Supervisor::Parts parts;
    parts.journal = journal_.get();
    parts.effects = &effects_;
    parts.launcher = &launcher_;
    parts.clock = &clock_;
    parts.pauser = &pauser_;
    parts.boot_id = "boot-1";
    parts.on_fence = [this](const Fence& fence) { held_ = fence.hold == Fence::Hold::kHeld; };
    parts.on_settled = [this](const Record&, milliseconds) { ++settled_; };
    parts.follow_every = milliseconds(5);
    parts.launch_grace = launch_grace_;
    supervisor_ = std::make_unique<Supervisor>(std::move(parts));
    ASSERT_TRUE(supervisor_->Start().ok());
  }

  static v1::RunRequest Cordon(uint64_t sequence) {
    v1::RunRequest request;
    *request.mutable_id() = MakeId(sequence);
    *request.mutable_authority() = MakeAuthority();
    request.mutable_spec()->mutable_cordon()->set_node("w1");
    return request;
  }
  static v1::RunRequest Install(uint64_t sequence) {
    v1::RunRequest request = Cordon(sequence);
    request.mutable_spec()->mutable_install()->set_deadline_seconds(60);
    return request;
  }
  std::shared_ptr<FakeWatcher> Run(const v1::RunRequest& request, bool known = false) {
    auto watcher = std::make_shared<FakeWatcher>();
    const auto answer = supervisor_->Run(request, watcher);
    EXPECT_TRUE(answer.ok() && !answer->refusal.has_value()) << answer.status();
    EXPECT_EQ(answer->known, known);
    return watcher;
  }

  TempFolder folder_;
  SystemClock clock_;
  SystemPauser pauser_;
  FakeEffects effects_;
  ThreadLauncher launcher_{folder_ / "journal.db", folder_ / "operation.lock", &effects_};
  std::unique_ptr<Journal> journal_;
  milliseconds launch_grace_{20'000};
  std::atomic<bool> held_{false};
  std::atomic<int> settled_{0};
  std::unique_ptr<Supervisor> supervisor_;
};

TEST_F(SupervisorTest, RunsHereAndTellsEveryWatcher) {
  Gate gate;
  effects_.On(Phase::kCordon, [&](const Record& record, EffectContext& context) {
    context.Report("asking", 50);
    return gate.Act()(record, context);
  });
  auto one = Run(Cordon(1));
  ASSERT_TRUE(one->WaitForProgress("cordon:asking"));
  auto other = Run(Cordon(1), true);
  EXPECT_TRUE(other->WaitForProgress("cordon:asking"));  // the last word is repeated
  gate.Open();
  EXPECT_TRUE(one->WaitForOutcome());
  EXPECT_TRUE(other->WaitForOutcome());
  EXPECT_EQ(other->outcome().code(), v1::Outcome::SUCCEEDED);
  EXPECT_EQ(Run(Cordon(1), true)->outcome().code(), v1::Outcome::SUCCEEDED);
  EXPECT_EQ(effects_.Count("cordon"), 1u);
  EXPECT_EQ(settled_, 1);
}

TEST_F(SupervisorTest, GoesOnAlthoughNobodyWatches) {
  Gate gate;
  effects_.On(Phase::kCordon, gate.Act());
  Run(Cordon(1)).reset();
  gate.Open();
  auto later = Run(Cordon(1), true);
  EXPECT_TRUE(later->WaitForOutcome());
  EXPECT_EQ(effects_.Count("cordon"), 1u);
}

TEST_F(SupervisorTest, SaysWhoHoldsTheNodeAlsoAfterARestart) {
  v1::RunRequest claim = Cordon(1);
  claim.mutable_spec()->mutable_claim();
  EXPECT_TRUE(Run(claim)->WaitForOutcome());
  EXPECT_TRUE(held_);
  held_ = false;
  Restart();
  EXPECT_TRUE(held_);
  v1::RunRequest release = Cordon(2);
  release.mutable_spec()->mutable_release_claim();
  EXPECT_TRUE(Run(release)->WaitForOutcome());
  EXPECT_FALSE(held_);
}

TEST_F(SupervisorTest, RefusesWithoutWatching) {
  Gate gate;
  effects_.On(Phase::kCheck, gate.Act());
  auto install = Run(Install(1));
  auto watcher = std::make_shared<FakeWatcher>();
  const auto busy = supervisor_->Run(Install(2), watcher);
  ASSERT_TRUE(busy.ok() && busy->refusal.has_value());
  EXPECT_EQ(busy->refusal->code(), v1::BUSY);
  EXPECT_EQ(watcher.use_count(), 1);
  gate.Open();
  EXPECT_TRUE(install->WaitForOutcome());
}

TEST_F(SupervisorTest, FollowsAProcessOfItsOwn) {
  Gate gate;
  effects_.On(Phase::kVerify, gate.Act());
  auto watcher = Run(Install(1));
  EXPECT_TRUE(watcher->WaitForProgress("verify"));
  gate.Open();
  EXPECT_TRUE(watcher->WaitForOutcome());
  EXPECT_EQ(watcher->outcome().node_state(), v1::Outcome::CHANGED);
  EXPECT_EQ(launcher_.launches, std::vector<std::string>{"first"});
  EXPECT_EQ(settled_, 1);
}

TEST_F(SupervisorTest, TheProcessOutlivesTheAgent) {
  Gate gate;
  effects_.On(Phase::kVerify, gate.Act());
  Run(Install(1));
  EXPECT_TRUE(effects_.WaitFor("verify"));
  Restart();
  auto watcher = Run(Install(1), true);
  gate.Open();
  EXPECT_TRUE(watcher->WaitForOutcome());
  EXPECT_EQ(launcher_.launches.size(), 1u);
  EXPECT_EQ(effects_.Count("restart"), 1u);
}

TEST_F(SupervisorTest, AProcessThatDiedIsLaunchedAgain) {
  Gate gate;
  effects_.On(Phase::kVerify, gate.Act());
  auto watcher = Run(Install(1));
  EXPECT_TRUE(effects_.WaitFor("verify"));
  launcher_.Kill();
  EXPECT_TRUE(effects_.WaitFor("verify", 2));
  gate.Open();
  EXPECT_TRUE(watcher->WaitForOutcome());
  EXPECT_EQ(watcher->outcome().code(), v1::Outcome::SUCCEEDED);
  EXPECT_EQ(launcher_.launches, (std::vector<std::string>{"first", "again"}));
}

TEST_F(SupervisorTest, AProcessThatCannotBeStartedSettlesTheOperation) {
  launch_grace_ = milliseconds(20);
  Restart();
  launcher_.error = absl::InternalError("systemd-run: no");
  auto watcher = Run(Install(1));
  EXPECT_TRUE(watcher->WaitForOutcome());
  EXPECT_EQ(watcher->outcome().code(), v1::Outcome::FAILED);
  EXPECT_EQ(watcher->outcome().node_state(), v1::Outcome::UNTOUCHED);
  EXPECT_EQ(watcher->outcome().reason().code(), v1::LOCAL_FAILURE);
}

TEST_F(SupervisorTest, AProcessThatNeverGetsToWorkSettlesTheOperation) {
  launch_grace_ = milliseconds(20);
  Restart();
  launcher_.stillborn = true;
  auto watcher = Run(Install(1));
  EXPECT_TRUE(watcher->WaitForOutcome());
  EXPECT_EQ(watcher->outcome().node_state(), v1::Outcome::UNTOUCHED);
}

TEST_F(SupervisorTest, CancelReachesBothKinds) {
  Gate never;
  effects_.On(Phase::kAwaitNode, never.Act());
  effects_.On(Phase::kRunInstaller, never.Act());
  v1::RunRequest await = Cordon(1);
  await.mutable_spec()->mutable_await_node();
  auto here = Run(await);
  auto elsewhere = Run(Install(2));
  EXPECT_TRUE(effects_.WaitFor("await-node"));
  EXPECT_TRUE(effects_.WaitFor("installer"));
  EXPECT_TRUE(*supervisor_->Cancel(MakeId(1)));
  EXPECT_TRUE(*supervisor_->Cancel(MakeId(2)));
  EXPECT_TRUE(here->WaitForOutcome());
  EXPECT_TRUE(elsewhere->WaitForOutcome());
  EXPECT_EQ(here->outcome().reason().code(), v1::CANCELLED);
  EXPECT_EQ(elsewhere->outcome().reason().code(), v1::CANCELLED);
  EXPECT_FALSE(*supervisor_->Cancel(MakeId(1)));
  EXPECT_FALSE(*supervisor_->Cancel(MakeId(3)));
}

TEST_F(SupervisorTest, GoingDownLeavesTheRestToTheNextStart) {
  Gate gate;
  effects_.On(Phase::kAwaitNode, gate.Act());
  v1::RunRequest await = Cordon(1);
  await.mutable_spec()->mutable_await_node();
  auto watcher = Run(await);
  EXPECT_TRUE(effects_.WaitFor("await-node"));
  EXPECT_TRUE(supervisor_->Shutdown(std::chrono::seconds(20)));
  EXPECT_TRUE(watcher->WaitForLoss());
  EXPECT_EQ(supervisor_->Run(Cordon(2), watcher).status().code(), absl::StatusCode::kUnavailable);
  gate.Open();
  Restart();
  auto again = Run(await, true);
  EXPECT_TRUE(again->WaitForOutcome());
  EXPECT_EQ(again->outcome().code(), v1::Outcome::SUCCEEDED);
}

TEST_F(SupervisorTest, ManyAtOnce) {
  std::vector<std::shared_ptr<FakeWatcher>> watchers;
  for (uint64_t sequence = 1; sequence <= 60; ++sequence) watchers.push_back(Run(Cordon(sequence)));
  for (const auto& watcher : watchers) EXPECT_TRUE(watcher->WaitForOutcome());
  EXPECT_EQ(effects_.Count("cordon"), 60u);
}

}  // namespace
}  // namespace k3saga::operations
