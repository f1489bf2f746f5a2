#include "coordinator/agents/fleet_upgrade.h"

#include <optional>

#include "common/reason.h"
#include "tests/unit/coordinator/fleet/fake_fleet.h"
#include "tests/unit/coordinator/manual_loop.h"

namespace k3saga::agents {
namespace {

using State = v1::ReplaceAgentReply;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

class FleetUpgradeTest : public testing::Test {
 protected:
  void Start(const std::vector<std::string>& nodes) {
    FleetUpgrade::Request request;
    for (const std::string& node : nodes) request.members.push_back({node, &package_});
    request.attempt = "a1";
    request.node_deadline = seconds(60);
    upgrade_.emplace(FleetUpgrade::Edge{loop_, loop_, fleet_}, std::move(request),
                     FleetUpgrade::Hear{[this](const std::string& node) { began_.push_back(node); },
                                        [](const NodeResult&) {},
                                        [this](std::vector<NodeResult> all) { done_ = std::move(all); }});
    loop_.Pass(milliseconds(1));
  }
  // The file has arrived on the node whose upload came last.
  void Sent(size_t upload, const absl::Status& status = absl::OkStatus()) {
    auto callback = fleet_.uploads.at(upload).callback;
    status.ok() ? callback(v1::UploadReply()) : callback(status);
    loop_.Pass(milliseconds(1));
  }
  void Say(size_t question, absl::StatusOr<v1::ReplaceAgentReply> reply) {
    auto callback = fleet_.replacements.at(question).callback;
    callback(std::move(reply));
    loop_.Pass(milliseconds(1));
  }
  static v1::ReplaceAgentReply Reply(State::State state, v1::ReasonCode code = v1::REASON_UNSPECIFIED) {
    v1::ReplaceAgentReply reply;
    reply.set_state(state);
    if (code != v1::REASON_UNSPECIFIED) reply.mutable_reason()->set_code(code);
    return reply;
  }

  const Package package_{.path = "/tmp/a.deb",
                         .wire_name = "k3saga-agent.deb",
                         .architecture = "amd64",
                         .version = "0.2.0",
                         .bytes = 10,
                         .sha256 = "abc"};
  ManualLoop loop_;
  fleet::FakeFleet fleet_;
  std::vector<std::string> began_;
  std::optional<std::vector<NodeResult>> done_;
  std::optional<FleetUpgrade> upgrade_;
};

TEST_F(FleetUpgradeTest, OneFirstThenTheOthersTogether) {
  Start({"w1", "w2", "s1"});
  EXPECT_THAT(began_, ElementsAre("w1"));
  EXPECT_EQ(fleet_.uploads[0].request.file.release_version, "k3saga-agent");
  Sent(0);
  EXPECT_EQ(fleet_.replacements[0].request.attempt(), "a1");
  Say(0, Reply(State::RUNNING));
  loop_.Pass(seconds(1));
  Say(1, absl::UnavailableError("the old one has gone"));  // it restarts
  loop_.Pass(seconds(2));
  EXPECT_THAT(began_, ElementsAre("w1"));
  Say(2, Reply(State::REPLACED));
  EXPECT_THAT(began_, ElementsAre("w1", "w2", "s1"));
  Sent(1);
  Sent(2);
  Say(3, Reply(State::UNCHANGED));
  EXPECT_FALSE(done_.has_value());
  Say(4, Reply(State::REPLACED));
  ASSERT_TRUE(done_.has_value());
  EXPECT_TRUE((*done_)[0].good() && (*done_)[1].good() && (*done_)[2].good());
}

TEST_F(FleetUpgradeTest, OneThatRanItAlreadyProvesNothing) {
  Start({"w1", "w2", "s1"});
  Sent(0);
  Say(0, Reply(State::UNCHANGED));
  EXPECT_THAT(began_, ElementsAre("w1", "w2"));
}

TEST_F(FleetUpgradeTest, TheFirstFailureIsTheLast) {
  Start({"w1", "w2", "s1"});
  Sent(0);
  Say(0, Reply(State::PUT_BACK, v1::UNIT_NOT_ACTIVE));
  ASSERT_TRUE(done_.has_value());
  EXPECT_THAT(began_, ElementsAre("w1"));
  EXPECT_EQ((*done_)[0].reply.reason().code(), v1::UNIT_NOT_ACTIVE);
  EXPECT_EQ((*done_)[2].reply.state(), State::STATE_UNSPECIFIED);
}

TEST_F(FleetUpgradeTest, AsksAgainWhileAnOperationHasToSettle) {
  Start({"w1"});
  Sent(0);
  for (size_t i = 0; i < 5; ++i) {
    Say(i, Reply(State::REFUSED, v1::BUSY));
    loop_.Pass(seconds(3));
  }
  Say(5, Reply(State::REPLACED));
  ASSERT_TRUE(done_.has_value());
  EXPECT_TRUE((*done_)[0].good());
}

TEST_F(FleetUpgradeTest, AnAgentThatIsTooOldIsNamed) {
  for (const absl::Status& status : {absl::InvalidArgumentError("k3saga-agent is no version"),
                                     ReasonError(MakeReason(v1::STALE_EPOCH, "r", "an epoch starts at 1"))}) {
    done_.reset();
    fleet_.uploads.clear();
    Start({"w1"});
    Sent(0, status);
    ASSERT_TRUE(done_.has_value());
    EXPECT_EQ((*done_)[0].reply.reason().code(), v1::AGENT_VERSION_UNSUPPORTED);
  }
}

TEST_F(FleetUpgradeTest, GivesUpAtItsDeadline) {
  Start({"w1", "w2"});
  loop_.Pass(seconds(61));
  ASSERT_TRUE(done_.has_value());
  EXPECT_EQ((*done_)[0].reply.reason().code(), v1::TIMED_OUT);
  EXPECT_THAT(began_, ElementsAre("w1"));
}

}  // namespace
}  // namespace k3saga::agents
