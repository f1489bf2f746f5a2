#include "agent/replace/replacer.h"

#include "agent/operations/process_lock.h"
#include "tests/support/fake_time.h"
#include "tests/unit/replace/fakes.h"

namespace k3saga::replace {
namespace {

using ::testing::HasSubstr;
using State = v1::ReplaceAgentReply;

class ReplacerTest : public ::testing::Test {
 protected:
  ReplacerTest() {
    v1::AgentReplacement record;
    record.mutable_reply()->set_state(State::RUNNING);
    record.mutable_reply()->set_to_version("0.2.0");
    EXPECT_TRUE(record_file_.Save(record).ok());
    replacer_.record_file = &record_file_;
    replacer_.host = &host_;
    replacer_.clock = &time_;
    replacer_.pauser = &time_;
    replacer_.node = "s1";
    replacer_.lock_path = dir_ / "operation.lock";
    replacer_.lock_patience = std::chrono::milliseconds(0);
    Offer("new");
  }
  void Offer(const std::string& content) {
    replacer_.file = dir_.Write("state/uploads/k3saga-agent.deb", content);
  }
  v1::ReplaceAgentReply Run() {
    const absl::Status status = replacer_.Run({});
    EXPECT_TRUE(status.ok()) << status;
    return record_file_.Load()->reply();
  }
  std::string Program() { return *ReadFile(host_.program()); }

  TempDir dir_;
  testing::FakeTime time_;
  FakeAgentHost host_{dir_};
  const RecordFile record_file_{node::StatePaths{dir_ / "state"}};
  Replacer replacer_;
};

TEST_F(ReplacerTest, TheNewAgentServesAndTheOldFilesAreGone) {
  EXPECT_EQ(Run().state(), State::REPLACED);
  EXPECT_EQ(host_.running, "new");
  EXPECT_EQ(host_.restarts, 1);
  EXPECT_FALSE(Exists(record_file_.previous()));
  EXPECT_FALSE(Exists(replacer_.file));
  // Settled: another start of the process does nothing.
  EXPECT_EQ(Run().state(), State::REPLACED);
  EXPECT_EQ(host_.installs, 1);
}

TEST_F(ReplacerTest, RestartsTheServiceWhereNobodyElseDid) {
  host_.restarts_itself = false;
  EXPECT_EQ(Run().state(), State::REPLACED);
  EXPECT_EQ(host_.running, "new");
  EXPECT_EQ(host_.restarts, 1);
}

TEST_F(ReplacerTest, OneThatDoesNotStayUpIsPutBack) {
  for (const char* bad : {"crashes", "hangs"}) {
    SCOPED_TRACE(bad);
    v1::AgentReplacement record = *record_file_.Load();
    record.mutable_reply()->set_state(State::RUNNING);
    ASSERT_TRUE(record_file_.Save(record).ok());
    Offer(bad);
    const v1::ReplaceAgentReply reply = Run();
    EXPECT_EQ(reply.state(), State::PUT_BACK);
    EXPECT_EQ(reply.reason().code(), v1::UNIT_NOT_ACTIVE);
    EXPECT_THAT(reply.reason().detail(), HasSubstr("I cannot"));
    EXPECT_EQ(Program(), "old");
    EXPECT_EQ(host_.running, "old");
  }
}

TEST_F(ReplacerTest, WhatCannotBeInstalledChangesNothing) {
  host_.install_error = absl::FailedPreconditionError("apt-get: Depends: libnew but it is not installable");
  const v1::ReplaceAgentReply reply = Run();
  EXPECT_EQ(reply.state(), State::PUT_BACK);
  EXPECT_THAT(reply.reason().detail(), HasSubstr("libnew"));
  EXPECT_EQ(host_.restarts, 0);
  EXPECT_EQ(host_.running, "old");
}

TEST_F(ReplacerTest, APowerCutInTheMiddleIsGoneOnWith) {
  // The program was replaced already, and booted.
  v1::AgentReplacement record = *record_file_.Load();
  record.set_kept(true);
  ASSERT_TRUE(record_file_.Save(record).ok());
  dir_.Write("state/replace/previous", "old", 0755);
  dir_.Write("bin/k3saga-agent", "new", 0755);
  host_.running = "new";
  host_.restarts_itself = false;
  EXPECT_EQ(Run().state(), State::REPLACED);
  EXPECT_EQ(host_.running, "new");
}

TEST_F(ReplacerTest, AStopLeavesTheRecordForTheNextStart) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsAborted(replacer_.Run(stop.get_token())));
  EXPECT_EQ(record_file_.Load()->reply().state(), State::RUNNING);
  EXPECT_EQ(*ReadFile(record_file_.previous()), "old");
  EXPECT_EQ(Run().state(), State::REPLACED);
}

TEST_F(ReplacerTest, NotWhileAnOperationsProcessIsAtWork) {
  const auto lock = operations::ProcessLock::Acquire(replacer_.lock_path, std::chrono::milliseconds(0));
  ASSERT_TRUE(lock.ok());
  const v1::ReplaceAgentReply reply = Run();
  EXPECT_EQ(reply.state(), State::REFUSED);
  EXPECT_EQ(reply.reason().code(), v1::BUSY);
  EXPECT_EQ(host_.installs, 0);
}

}  // namespace
}  // namespace k3saga::replace
