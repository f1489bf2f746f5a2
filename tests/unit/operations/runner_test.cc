#include "agent/operations/runner.h"

#include <gmock/gmock.h>
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RunnerTest : public ::testing::Test {
 protected:
  RunnerTest() : journal_(*Journal::Open(folder_ / "journal.db", {}, &clock_)) {}

  v1::OperationId AcceptInstall(v1::InstallSpec::AtDeadline at_deadline = v1::InstallSpec::PUT_BACK) {
    v1::RunRequest request;
    *request.mutable_id() = MakeId(7);
    *request.mutable_authority() = MakeAuthority();
    request.mutable_spec()->mutable_install()->set_deadline_seconds(60);
    request.mutable_spec()->mutable_install()->set_at_deadline(at_deadline);
    EXPECT_TRUE(journal_->Accept(request).ok());
    return request.id();
  }
  Entry Load(const v1::OperationId& id) { return **journal_->Find(id); }
  OperationRun MakeRun(const v1::OperationId& id, const std::string& boot_id = "boot-1") {
    OperationRun::Parts parts;
    parts.journal = journal_.get();
    parts.effects = &effects_;
    parts.clock = &clock_;
    parts.pauser = &pauser_;
    parts.boot_id = boot_id;
    parts.progress = [this](const v1::Progress& progress) {
      said_.push_back(progress.phase() + progress.detail());
    };
    return OperationRun(std::move(parts), Load(id));
  }

  TempFolder folder_;
  FakeClock clock_;
  FakePauser pauser_{&clock_};
  FakeEffects effects_;
  std::unique_ptr<Journal> journal_;
  std::vector<std::string> said_;
};

TEST_F(RunnerTest, EveryPhaseIsDurableBeforeItsEffect) {
  const v1::OperationId id = AcceptInstall();
  for (const Phase phase : {Phase::kCheck, Phase::kKeep, Phase::kPlace, Phase::kRunInstaller, Phase::kCompare,
                            Phase::kLastCheck, Phase::kRestart, Phase::kVerify}) {
    effects_.On(phase, [this, phase, id](const Record& record, EffectContext&) {
      EXPECT_EQ(record.phase, phase);
      EXPECT_EQ(Load(id).record.phase, phase);
      EXPECT_EQ(Load(id).record.starts, 1u);
      return EffectResult::Done();
    });
  }
  OperationRun run = MakeRun(id);
  ASSERT_TRUE(run.Execute().ok());
  EXPECT_EQ(run.record().outcome.code(), v1::Outcome::SUCCEEDED);
  EXPECT_EQ(Load(id).record.outcome.code(), v1::Outcome::SUCCEEDED);
  EXPECT_EQ(Load(id).settled_unix_ms, clock_.WallUnixMillis());
  EXPECT_THAT(said_, ElementsAre("check", "keep", "place", "installer", "compare", "last-check", "restart",
                                 "verify"));
}

TEST_F(RunnerTest, TheDeadlinePutsBackWithATimeOfItsOwn) {
  const v1::OperationId id = AcceptInstall();
  effects_.On(Phase::kVerify, [](const Record&, EffectContext& context) {
    while (context.Wait(milliseconds(500))) {
    }
    EXPECT_EQ(context.Remaining(), milliseconds(0));
    return EffectResult::Interrupted();
  });
  milliseconds for_restoring{0};
  effects_.On(Phase::kRestoreFiles, [&](const Record&, EffectContext& context) {
    for_restoring = context.Remaining();
    return EffectResult::Done();
  });
  OperationRun run = MakeRun(id);
  ASSERT_TRUE(run.Execute().ok());
  EXPECT_EQ(run.record().outcome.node_state(), v1::Outcome::PUT_BACK);
  EXPECT_EQ(run.record().outcome.reason().code(), v1::TIMED_OUT);
  EXPECT_EQ(for_restoring, std::chrono::seconds(60));
}

TEST_F(RunnerTest, AfterAStopItGoesOnInTheSamePhaseUnderTheSameDeadline) {
  const v1::OperationId id = AcceptInstall();
  {
    OperationRun run = MakeRun(id);
    effects_.On(Phase::kRunInstaller, [&](const Record&, EffectContext& context) {
      run.Stop();
      EXPECT_TRUE(context.Stopped());
      EXPECT_FALSE(context.Wait(milliseconds(1)));
      return EffectResult::Interrupted();
    });
    EXPECT_EQ(run.Execute().code(), absl::StatusCode::kAborted);
  }
  EXPECT_EQ(Load(id).record.phase, Phase::kRunInstaller);
  clock_.Pass(std::chrono::seconds(20));
  milliseconds left{0};
  effects_.On(Phase::kRunInstaller, [&](const Record&, EffectContext& context) {
    left = context.Remaining();
    return EffectResult::Done();
  });
  OperationRun run = MakeRun(id);
  ASSERT_TRUE(run.Execute().ok());
  EXPECT_EQ(left, std::chrono::seconds(40));
  EXPECT_EQ(run.record().starts, 2u);
  EXPECT_EQ(effects_.performed(), "check keep place installer installer compare last-check restart verify");
}

TEST_F(RunnerTest, AfterARebootTheTimeBeginsAgain) {
  const v1::OperationId id = AcceptInstall();
  {
    OperationRun run = MakeRun(id);
    effects_.On(Phase::kVerify, [&](const Record&, EffectContext&) {
      run.Stop();
      return EffectResult::Interrupted();
    });
    EXPECT_FALSE(run.Execute().ok());
  }
  clock_.steady_ms = 500;  // the boot clock began again
  milliseconds left{0};
  effects_.On(Phase::kVerify, [&](const Record&, EffectContext& context) {
    left = context.Remaining();
    return EffectResult::Done();
  });
  OperationRun run = MakeRun(id, "boot-2");
  ASSERT_TRUE(run.Execute().ok());
  EXPECT_EQ(left, std::chrono::seconds(60));
}

TEST_F(RunnerTest, ACancellationInterruptsWhereItMay) {
  const v1::OperationId id = AcceptInstall();
  OperationRun run = MakeRun(id);
  effects_.On(Phase::kRunInstaller, [&](const Record&, EffectContext& context) {
    run.Cancel();
    EXPECT_TRUE(context.Stopped());
    return EffectResult::Interrupted();
  });
  ASSERT_TRUE(run.Execute().ok());
  EXPECT_EQ(run.record().outcome.reason().code(), v1::CANCELLED);
  EXPECT_EQ(run.record().outcome.node_state(), v1::Outcome::UNTOUCHED);
  EXPECT_EQ(effects_.performed(), "check keep place installer undo");
}

TEST_F(RunnerTest, ACancellationDuringTheRestartComesTooLate) {
  const v1::OperationId id = AcceptInstall();
  OperationRun run = MakeRun(id);
  effects_.On(Phase::kRestart, [&](const Record&, EffectContext& context) {
    run.Cancel();
    EXPECT_FALSE(context.Stopped());
    return EffectResult::Done();
  });
  ASSERT_TRUE(run.Execute().ok());
  EXPECT_EQ(run.record().outcome.code(), v1::Outcome::SUCCEEDED);
}

TEST_F(RunnerTest, ARequestedCancellationSurvivesTheProcess) {
  const v1::OperationId id = AcceptInstall();
  EXPECT_TRUE(*journal_->RequestCancel(id));
  OperationRun run = MakeRun(id);
  ASSERT_TRUE(run.Execute().ok());
  EXPECT_EQ(run.record().outcome.reason().code(), v1::CANCELLED);
  EXPECT_EQ(effects_.performed(), "");
}

TEST_F(RunnerTest, AnEffectThatGivesUpWithoutAReasonFails) {
  const v1::OperationId id = AcceptInstall();
  effects_.On(Phase::kKeep, [](const Record&, EffectContext&) { return EffectResult::Interrupted(); });
  OperationRun run = MakeRun(id);
  ASSERT_TRUE(run.Execute().ok());
  EXPECT_EQ(run.record().outcome.reason().code(), v1::LOCAL_FAILURE);
}

TEST_F(RunnerTest, ACrashLoopEnds) {
  const v1::OperationId id = AcceptInstall();
  for (uint32_t i = 0; i < kMaxStarts; ++i) {
    OperationRun run = MakeRun(id);
    effects_.On(Phase::kRestart, [&](const Record&, EffectContext&) {
      run.Stop();
      return EffectResult::Interrupted();
    });
    EXPECT_FALSE(run.Execute().ok());
  }
  OperationRun run = MakeRun(id);
  ASSERT_TRUE(run.Execute().ok());
  EXPECT_EQ(run.record().outcome.reason().code(), v1::CRASH_LOOP);
  EXPECT_EQ(run.record().outcome.node_state(), v1::Outcome::PUT_BACK);
}

class OperationProcessTest : public RunnerTest {
 protected:
  OperationProcess Process() {
    OperationProcess process;
    process.journal = journal_.get();
    process.effects = &effects_;
    process.clock = &real_clock_;
    process.pauser = &real_pauser_;
    process.boot_id = "boot-1";
    process.lock_path = folder_ / "operation.lock";
    process.lock_patience = milliseconds(0);
    process.look_every = milliseconds(5);
    return process;
  }

  SystemClock real_clock_;
  SystemPauser real_pauser_;
};

TEST_F(OperationProcessTest, HoldsTheLockAndReportsIntoTheJournal) {
  const v1::OperationId id = AcceptInstall();
  effects_.On(Phase::kRunInstaller, [&](const Record&, EffectContext&) {
    EXPECT_TRUE(*ProcessLock::IsHeld(folder_ / "operation.lock"));
    EXPECT_EQ(Load(id).progress.phase(), "installer");
    EXPECT_EQ(Process().Run(id, {}).code(), absl::StatusCode::kUnavailable);
    return EffectResult::Done();
  });
  ASSERT_TRUE(Process().Run(id, {}).ok());
  EXPECT_FALSE(*ProcessLock::IsHeld(folder_ / "operation.lock"));
  EXPECT_TRUE(Load(id).record.settled());
  EXPECT_TRUE(Process().Run(id, {}).ok());  // settled already: nothing to do
  EXPECT_EQ(effects_.Count("restart"), 1u);
}

TEST_F(OperationProcessTest, FindsACancellationInTheJournal) {
  const v1::OperationId id = AcceptInstall();
  Gate never;
  effects_.On(Phase::kRunInstaller, never.Act());
  auto service = *Journal::Open(folder_ / "journal.db", {}, &clock_);
  std::thread canceller([&] {
    EXPECT_TRUE(effects_.WaitFor("installer"));
    EXPECT_TRUE(*service->RequestCancel(id));
  });
  EXPECT_TRUE(Process().Run(id, {}).ok());
  canceller.join();
  EXPECT_EQ(Load(id).record.outcome.reason().code(), v1::CANCELLED);
}

TEST_F(OperationProcessTest, IsToldWhenItKnowsNoSuchOperation) {
  EXPECT_EQ(Process().Run(MakeId(99), {}).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace k3saga::operations
