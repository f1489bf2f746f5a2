#include "agent/replace/replacements.h"

#include "tests/unit/operations/testing.h"
#include "tests/unit/replace/fakes.h"

namespace k3saga::replace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using State = v1::ReplaceAgentReply;

// Knows transient units only.
class FakeSystemd final : public node::Systemd {
 public:
  absl::StatusOr<node::UnitStatus> Show(std::string_view unit) override {
    node::UnitStatus status;
    status.active_state = unit == "k3saga-agent-replace.service" && runs ? "active" : "inactive";
    return status;
  }
  absl::Status RunTransient(const node::TransientUnit& unit) override {
    launched.push_back(unit);
    runs = launch_error.ok();
    return launch_error;
  }
  absl::Status Restart(std::string_view) override { return absl::OkStatus(); }
  absl::Status Start(std::string_view) override { return absl::OkStatus(); }
  absl::Status Stop(std::string_view) override { return absl::OkStatus(); }
  absl::Status DaemonReload() override { return absl::OkStatus(); }
  absl::Status Enable(std::string_view) override { return absl::OkStatus(); }
  absl::Status Disable(std::string_view) override { return absl::OkStatus(); }
  absl::StatusOr<std::string> IsEnabled(std::string_view) override { return std::string("enabled"); }
  absl::Status ResetFailed(std::string_view) override { return absl::OkStatus(); }
  absl::Status Reboot() override { return absl::OkStatus(); }
  absl::StatusOr<std::string> Journal(std::string_view, int) override { return std::string(); }

  std::vector<node::TransientUnit> launched;
  absl::Status launch_error;
  bool runs = false;
};

class ReplacementsTest : public ::testing::Test {
 protected:
  ReplacementsTest()
      : journal_(*operations::Journal::Open(dir_ / "journal.db", {}, &clock_)),
        replacements_({&host_, &systemd_, &uploads_, journal_.get(), &record_file_, "s1",
                       "/usr/bin/k3saga-agent", "/etc/k3saga/agent.yaml", 1}) {
    dir_.Write("state/uploads/k3saga-agent/k3saga-agent.deb", "new");
  }
  v1::ReplaceAgentReply Ask(const std::string& attempt = "a1") {
    v1::ReplaceAgentRequest request;
    request.set_attempt(attempt);
    request.set_sha256(Sha256Of("new"));
    request.set_file_name("k3saga-agent.deb");
    return replacements_.Ask(request);
  }
  // As the process in the transient unit writes it.
  void Settle(State::State state) {
    v1::AgentReplacement record = *record_file_.Load();
    record.mutable_reply()->set_state(state);
    ASSERT_TRUE(record_file_.Save(record).ok());
    systemd_.runs = false;
  }

  TempDir dir_;
  operations::FakeClock clock_;
  FakeAgentHost host_{dir_};
  FakeSystemd systemd_;
  const node::StatePaths state_{dir_ / "state"};
  node::UploadStore uploads_{state_};
  const RecordFile record_file_{state_};
  std::unique_ptr<operations::Journal> journal_;
  Replacements replacements_;
};

TEST_F(ReplacementsTest, BeginsOnceAndSaysHowItStands) {
  EXPECT_EQ(Ask().state(), State::RUNNING);
  ASSERT_THAT(systemd_.launched, SizeIs(1));
  EXPECT_EQ(systemd_.launched[0].name, "k3saga-agent-replace");
  EXPECT_THAT(systemd_.launched[0].argv,
              ElementsAre("/usr/bin/k3saga-agent", "replace", "--config", "/etc/k3saga/agent.yaml"));
  EXPECT_EQ(Ask().state(), State::RUNNING);
  EXPECT_EQ(Ask("a2").reason().code(), v1::BUSY) << "one at a time";
  Settle(State::REPLACED);
  EXPECT_EQ(Ask().state(), State::REPLACED);
  EXPECT_EQ(Ask().to_version(), "0.2.0");
  EXPECT_THAT(systemd_.launched, SizeIs(1));
}

TEST_F(ReplacementsTest, AnotherAttemptAfterAFailureBeginsAgain) {
  Ask();
  Settle(State::PUT_BACK);
  EXPECT_EQ(Ask().state(), State::PUT_BACK);
  EXPECT_EQ(Ask("a2").state(), State::RUNNING);
  EXPECT_THAT(systemd_.launched, SizeIs(2));
}

TEST_F(ReplacementsTest, AfterAPowerCutItIsStartedAgainAFewTimes) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Ask().state(), State::RUNNING);
    systemd_.runs = false;
  }
  EXPECT_THAT(systemd_.launched, SizeIs(3));
  EXPECT_EQ(Ask().state(), State::FAILED);
  EXPECT_EQ(Ask().reason().code(), v1::CRASH_LOOP);
  EXPECT_THAT(systemd_.launched, SizeIs(3));
}

TEST_F(ReplacementsTest, RefusesWithoutTouchingAnything) {
  v1::ReplaceAgentRequest request;
  request.set_attempt("a1");
  request.set_sha256(Sha256Of("other"));
  request.set_file_name("k3saga-agent.deb");
  EXPECT_EQ(replacements_.Ask(request).reason().code(), v1::CHECKSUM_MISMATCH);
  request.set_file_name("nothing.deb");
  EXPECT_EQ(replacements_.Ask(request).state(), State::REFUSED);
  request.set_attempt("");
  EXPECT_EQ(replacements_.Ask(request).state(), State::REFUSED);
  host_.offered.version = "0.0.9";
  EXPECT_EQ(Ask().reason().code(), v1::DOWNGRADE);
  EXPECT_THAT(systemd_.launched, IsEmpty());
  EXPECT_FALSE(record_file_.Load().has_value());
}

TEST_F(ReplacementsTest, WaitsForOperationsToSettle) {
  v1::RunRequest run;
  *run.mutable_id() = operations::MakeId(1);
  *run.mutable_authority() = operations::MakeAuthority();
  run.mutable_spec()->mutable_cordon()->set_node("w1");
  ASSERT_TRUE(journal_->Accept(run).ok());
  const v1::ReplaceAgentReply reply = Ask();
  EXPECT_EQ(reply.reason().code(), v1::BUSY);
  EXPECT_THAT(reply.reason().detail(), ::testing::HasSubstr("cordon r1/1/1"));
}

TEST_F(ReplacementsTest, AUnitThatCannotBeStartedIsARefusal) {
  systemd_.launch_error = absl::InternalError("no systemd");
  EXPECT_EQ(Ask().state(), State::REFUSED);
  EXPECT_EQ(Ask().state(), State::REFUSED);
  systemd_.launch_error = absl::OkStatus();
  EXPECT_EQ(Ask("a2").state(), State::RUNNING);
}

}  // namespace
}  // namespace k3saga::replace
