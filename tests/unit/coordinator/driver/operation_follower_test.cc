#include "coordinator/driver/operation_follower.h"

#include <optional>

#include "common/reason.h"
#include "tests/unit/coordinator/fleet/fake_fleet.h"
#include "tests/unit/coordinator/manual_loop.h"

namespace k3saga::driver {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

class OperationFollowerTest : public testing::Test {
 protected:
  void Follow(const std::string& expected_journal = "") {
    v1::RunRequest request;
    request.mutable_id()->set_rollout("r1");
    request.mutable_id()->set_sequence(17);
    request.mutable_id()->set_attempt(2);
    request.set_journal_id(expected_journal);
    follower_.emplace(
        OperationFollower::Edge{loop_, loop_, fleet_, [] { return uint64_t{0}; }}, "s1", request, seconds(60),
        OperationFollower::Hear{[this](const v1::Progress& progress) { phases_.push_back(progress.phase()); },
                                [this](v1::Outcome outcome, const std::string& journal) {
                                  ++settled_;
                                  outcome_ = std::move(outcome);
                                  journal_ = journal;
                                }});
  }
  void Accept(const std::string& journal, bool known = false) {
    v1::RunReply::Accepted accepted;
    accepted.set_journal_id(journal);
    accepted.set_known(known);
    fleet_.runs.back().callback.accepted(accepted);
  }
  void End(absl::StatusOr<v1::Outcome> outcome) { fleet_.runs.back().callback.done(std::move(outcome)); }
  static v1::Outcome Outcome(v1::Outcome::Code code, v1::ReasonCode why = v1::REASON_UNSPECIFIED) {
    v1::Outcome outcome;
    outcome.set_code(code);
    if (why != v1::REASON_UNSPECIFIED) outcome.mutable_reason()->set_code(why);
    return outcome;
  }

  ManualLoop loop_;
  fleet::FakeFleet fleet_;
  std::optional<OperationFollower> follower_;
  std::vector<std::string> phases_;
  int settled_ = 0;
  v1::Outcome outcome_;
  std::string journal_;
};

TEST_F(OperationFollowerTest, HandsOnWhatTheAgentSays) {
  Follow();
  ASSERT_EQ(fleet_.runs.size(), 1u);
  EXPECT_EQ(fleet_.runs[0].node, "s1");
  EXPECT_GE(fleet_.runs[0].timeout, seconds(60));
  Accept("j1");
  v1::Progress progress;
  progress.set_phase("download");
  fleet_.runs[0].callback.progress(progress);
  End(Outcome(v1::Outcome::FAILED, v1::INSTALLER_FAILED));
  EXPECT_EQ(settled_, 1);
  EXPECT_EQ(outcome_.code(), v1::Outcome::FAILED);
  EXPECT_EQ(journal_, "j1");
  EXPECT_THAT(phases_, testing::ElementsAre("download"));
  EXPECT_EQ(loop_.timers(), 0u);
}

TEST_F(OperationFollowerTest, AttachesAgainUnderTheSameNameWhenTheStreamBreaks) {
  Follow();
  Accept("j1");
  for (size_t breaks = 1; breaks <= 4; ++breaks) {
    End(absl::UnavailableError("agent of s1: connection reset"));
    EXPECT_EQ(phases_.back(), "reconnecting");
    EXPECT_EQ(fleet_.runs.size(), breaks) << "asked again without waiting";
    loop_.Pass(RetryDelay(static_cast<int>(breaks) - 1, 0));
    ASSERT_EQ(fleet_.runs.size(), breaks + 1);
    EXPECT_EQ(fleet_.runs.back().request.SerializeAsString(), fleet_.runs[0].request.SerializeAsString());
    EXPECT_FALSE(*fleet_.runs[breaks - 1].alive);
  }
  Accept("j1", true);
  End(Outcome(v1::Outcome::SUCCEEDED));
  EXPECT_EQ(settled_, 1);
  EXPECT_EQ(outcome_.code(), v1::Outcome::SUCCEEDED);
}

TEST_F(OperationFollowerTest, WaitsGrowAndStartAgainOnceTheAgentAnswered) {
  Follow();
  for (int i = 0; i < 3; ++i) {
    End(absl::UnavailableError("refused"));
    loop_.Pass(RetryDelay(i, 0));
  }
  ASSERT_EQ(fleet_.runs.size(), 4u);
  Accept("j1");
  End(absl::UnavailableError("refused"));
  loop_.Pass(RetryDelay(0, 0));
  EXPECT_EQ(fleet_.runs.size(), 5u);
}

TEST_F(OperationFollowerTest, AfterItsDeadlineItIsUnknownNeverFailed) {
  Follow();
  Accept("j1");
  loop_.Pass(seconds(59));
  EXPECT_EQ(settled_, 0);
  loop_.Pass(seconds(1));
  EXPECT_EQ(settled_, 1);
  EXPECT_EQ(outcome_.code(), v1::Outcome::UNKNOWN);
  EXPECT_EQ(outcome_.reason().code(), v1::TIMED_OUT);
  // What comes after that changes nothing.
  End(Outcome(v1::Outcome::SUCCEEDED));
  EXPECT_EQ(settled_, 1);
}

TEST_F(OperationFollowerTest, AnAgentThatNeverAnsweredIsSaidToBeUnreachable) {
  Follow();
  while (settled_ == 0) {
    const size_t asked = fleet_.runs.size();
    End(absl::UnavailableError("agent of s1: connection refused"));
    while (settled_ == 0 && fleet_.runs.size() == asked) loop_.Pass(milliseconds(100));
  }
  EXPECT_EQ(outcome_.code(), v1::Outcome::UNKNOWN);
  EXPECT_EQ(outcome_.reason().code(), v1::NODE_UNREACHABLE);
  EXPECT_THAT(Describe(outcome_.reason()), HasSubstr("connection refused"));
  EXPECT_EQ(journal_, "");
  EXPECT_LT(fleet_.runs.size(), 30u);
}

TEST_F(OperationFollowerTest, ALostAgentJournalLeavesTheOperationUnknown) {
  Follow("j1");
  Accept("j2");
  EXPECT_EQ(settled_, 1);
  EXPECT_EQ(outcome_.code(), v1::Outcome::UNKNOWN);
  EXPECT_EQ(outcome_.reason().code(), v1::LOST_OPERATION);
  EXPECT_EQ(journal_, "j2");
  End(Outcome(v1::Outcome::SUCCEEDED));
  EXPECT_EQ(settled_, 1);
}

TEST_F(OperationFollowerTest, AnotherJournalThatKnowsTheOperationIsFine) {
  Follow("j1");
  Accept("j2", true);
  EXPECT_EQ(settled_, 0);
}

TEST_F(OperationFollowerTest, WhatAnAgentDoesNotRememberIsUnknown) {
  struct Case {
    v1::ReasonCode why;
    v1::Outcome::Code code;
  };
  for (const Case& one :
       {Case{v1::LOST_OPERATION, v1::Outcome::UNKNOWN}, Case{v1::STALE_OPERATION, v1::Outcome::UNKNOWN},
        Case{v1::STALE_EPOCH, v1::Outcome::REFUSED}, Case{v1::BUSY, v1::Outcome::REFUSED}}) {
    SCOPED_TRACE(v1::ReasonCode_Name(one.why));
    Follow();
    End(Outcome(v1::Outcome::REFUSED, one.why));
    EXPECT_EQ(outcome_.code(), one.code);
    EXPECT_EQ(outcome_.reason().code(), one.why);
  }
}

TEST_F(OperationFollowerTest, AQuestionThatIsNotUnderstoodIsNotRepeated) {
  struct Case {
    absl::StatusCode status;
    v1::Outcome::Code code;
    v1::ReasonCode why;
  };
  for (const Case& one : {Case{absl::StatusCode::kUnimplemented, v1::Outcome::REFUSED, v1::UNKNOWN_ACTION},
                          Case{absl::StatusCode::kInvalidArgument, v1::Outcome::REFUSED, v1::UNKNOWN_ACTION},
                          Case{absl::StatusCode::kNotFound, v1::Outcome::UNKNOWN, v1::NODE_UNREACHABLE}}) {
    SCOPED_TRACE(absl::StatusCodeToString(one.status));
    settled_ = 0;
    Follow();
    End(absl::Status(one.status, "no"));
    EXPECT_EQ(settled_, 1);
    EXPECT_EQ(outcome_.code(), one.code);
    EXPECT_EQ(outcome_.reason().code(), one.why);
    EXPECT_EQ(loop_.timers(), 0u);
  }
}

TEST_F(OperationFollowerTest, DroppedItLeavesNothingBehind) {
  Follow();
  End(absl::UnavailableError("refused"));
  EXPECT_EQ(loop_.timers(), 2u);
  follower_.reset();
  EXPECT_EQ(loop_.timers(), 0u);
}

TEST(RetryDelay, GrowsToSomeSecondsWithJitter) {
  EXPECT_EQ(RetryDelay(0, 0), milliseconds(150));
  EXPECT_EQ(RetryDelay(0, 100), milliseconds(250));
  EXPECT_EQ(RetryDelay(1, 0), milliseconds(300));
  for (const int breaks : {6, 10, 1'000'000}) {
    for (const uint64_t random : {uint64_t{0}, uint64_t{12'345}, ~uint64_t{0}}) {
      EXPECT_GE(RetryDelay(breaks, random), milliseconds(3'750));
      EXPECT_LE(RetryDelay(breaks, random), milliseconds(6'250));
    }
  }
}

}  // namespace
}  // namespace k3saga::driver
