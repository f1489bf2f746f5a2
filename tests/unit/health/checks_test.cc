#include "agent/health/checks.h"

#include <httplib.h>

#include <thread>

#include "common/reason.h"
#include "tests/support/fake_k3s.h"
#include "tests/support/fake_time.h"
#include "tests/unit/etcd/views.h"

namespace k3saga::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class ChecksTest : public ::testing::Test {
 protected:
  ChecksTest() { etcd_.view = etcd::HealthyView(3, 2); }

  std::vector<std::string> Failing() {
    std::vector<std::string> failing;
    for (const CheckResult& result : checks_->Look(seconds(1))) {
      if (!result.status.ok()) {
        failing.push_back(result.check);
      }
    }
    return failing;
  }
  void SilenceOthers() {
    for (size_t i : {1, 2}) {
      etcd_.view.members[i].answered = false;
    }
    etcd_.view.members[0].leader = 0;
    etcd_.view.members[0].quorum_read = false;
  }

  testing::FakeTime time_;
  testing::FakeLocalK3s local_;
  testing::FakeEtcd etcd_;
  testing::FakeKube kube_;
  std::string kubelet_url_ = "http://127.0.0.1:1/healthz";
  std::unique_ptr<HealthChecks> checks_ = MakeChecks();

  std::unique_ptr<HealthChecks> MakeChecks() {
    return std::make_unique<HealthChecks>(HealthChecks::Parts{.local = &local_,
                                                              .etcd = &etcd_,
                                                              .kube = &kube_,
                                                              .kubelet_health_url = kubelet_url_,
                                                              .clock = &time_,
                                                              .pauser = &time_});
  }
};

TEST_F(ChecksTest, AHealthyServerHasNothingToSay) {
  EXPECT_THAT(Failing(), ::testing::IsEmpty());
  EXPECT_TRUE(checks_->Ready(seconds(1)).ok());
  EXPECT_TRUE(checks_->Await("v1.31.4+k3s1", {}, {.timeout = seconds(5), .stop = {}}).ok());
  EXPECT_EQ(time_.Steady(), milliseconds(0));
}

TEST_F(ChecksTest, LookAtWhatTheNodeRuns) {
  kube_.ready = ReasonError(MakeReason(v1::API_NOT_READY, "", "500"));
  EXPECT_THAT(Failing(), ::testing::ElementsAre("apiserver"));
  local_.role = {.runs_apiserver = false, .runs_etcd = true, .runs_kubelet = true};
  EXPECT_THAT(Failing(), ::testing::IsEmpty()) << "an etcd-only server";
  EXPECT_TRUE(checks_->Ready(seconds(1)).ok());
  local_.role = {.runs_apiserver = false, .runs_etcd = false, .runs_kubelet = true};
  EXPECT_THAT(Failing(), ::testing::ElementsAre("kubelet")) << "a worker";
  local_.main = {};
  EXPECT_THAT(Failing(), ::testing::ElementsAre("process", "kubelet"));
}

TEST_F(ChecksTest, AWorkersKubeletIsAsked) {
  httplib::Server kubelet;
  int status = 200;
  kubelet.Get("/healthz", [&](const httplib::Request&, httplib::Response& response) {
    response.status = status;
    response.set_content("ok", "text/plain");
  });
  const int port = kubelet.bind_to_any_port("127.0.0.1");
  std::thread serving([&] { kubelet.listen_after_bind(); });
  kubelet_url_ = absl::StrCat("http://127.0.0.1:", port, "/healthz");
  local_.role = {.runs_apiserver = false, .runs_etcd = false, .runs_kubelet = true};
  const auto checks = MakeChecks();
  EXPECT_TRUE(checks->Ready(seconds(5)).ok());
  status = 500;
  EXPECT_THAT(ReasonOf(checks->Ready(seconds(5))).detail(), HasSubstr("healthz answers 500"));
  checks->Rest();
  kubelet.stop();
  serving.join();
}

TEST_F(ChecksTest, TellOwnTroubleFromTheOthers) {
  EXPECT_TRUE(JudgeOwnMember(etcd_.view).ok());
  SilenceOthers();
  const v1::Reason theirs = ReasonOf(JudgeOwnMember(etcd_.view));
  EXPECT_EQ(theirs.code(), v1::NO_LEADER);
  EXPECT_THAT(theirs.detail(), HasSubstr("s2, s3 do not answer"));

  etcd_.view = etcd::HealthyView(3, 2);
  etcd_.view.members[0].leader = 0;
  etcd_.view.members[0].quorum_read = false;
  EXPECT_EQ(ReasonOf(JudgeOwnMember(etcd_.view)).code(), v1::MEMBER_UNHEALTHY)
      << "the others answer: it is ours";
  etcd_.view.members[0].answered = false;
  EXPECT_EQ(ReasonOf(JudgeOwnMember(etcd_.view)).code(), v1::MEMBER_UNHEALTHY);
  EXPECT_EQ(ReasonOf(JudgeOwnMember({})).code(), v1::MEMBER_UNHEALTHY);
}

TEST_F(ChecksTest, AwaitGoesThroughEverythingAndSaysWhatIsMissing) {
  local_.main = {};
  std::vector<std::string> said;
  int pauses = 0;
  time_.on_pause = [&] {
    switch (++pauses) {
      case 1:
        local_.main = {.pid = 7, .start_ticks = 7};
        local_.active = ReasonError(MakeReason(v1::UNIT_NOT_ACTIVE, "k3s.service", "activating/start"));
        break;
      case 2:
        local_.active = absl::OkStatus();
        kube_.ready = ReasonError(MakeReason(v1::API_NOT_READY, "", "failing: etcd"));
        break;
      case 3:
        local_.version = "v1.32.0+k3s1";
        break;
      case 5:
        kube_.ready = absl::OkStatus();
        break;
      default:
        break;
    }
  };
  const auto status = checks_->Await("v1.32.0+k3s1", [&](const std::string& what) { said.push_back(what); },
                                     {.timeout = seconds(30), .stop = {}});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(said, ::testing::ElementsAre("k3s does not run", "activating/start",
                                           "the running process is v1.31.4+k3s1, expected v1.32.0+k3s1",
                                           "failing: etcd"));
}

TEST_F(ChecksTest, AwaitEndsWithTheReasonAndTheLastWords) {
  kube_.ready = ReasonError(MakeReason(v1::API_NOT_READY, "", "500"));
  local_.last_words = "fatal: critical configuration mismatched";
  auto reason = ReasonOf(checks_->Await("", {}, {.timeout = seconds(10), .stop = {}}));
  EXPECT_EQ(reason.code(), v1::API_NOT_READY);
  EXPECT_THAT(reason.detail(), HasSubstr("last words: fatal: critical"));
  EXPECT_GE(time_.Steady(), seconds(9));

  SilenceOthers();
  reason = ReasonOf(checks_->Await("", {}, {.timeout = seconds(10), .stop = {}}));
  EXPECT_EQ(reason.code(), v1::NO_LEADER) << "the lost quorum explains the API, and is said first";

  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(checks_->Await("", {}, {.timeout = seconds(10), .stop = stop.get_token()}).code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace k3saga::health
