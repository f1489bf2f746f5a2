#include "agent/kube/kube.h"

#include "common/host/files.h"
#include "common/reason.h"
#include "tests/support/fake_kubernetes.h"

namespace k3saga::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeKubernetes;
using testing::FakeTime;
using ::testing::HasSubstr;

class KubeTest : public ::testing::Test {
 protected:
  static Patience For(seconds timeout) { return {.timeout = timeout, .stop = {}}; }

  FakeTime time_;
  FakeKubernetes api_{time_};
  std::unique_ptr<Kube> kube_ = MakeKube([this] { return api_.KubeconfigPath(); }, time_, time_);
};

TEST_F(KubeTest, SaysWhichChecksFail) {
  EXPECT_TRUE(kube_->Ready(seconds(5)).ok());
  api_.ready = false;
  const absl::Status status = kube_->Ready(seconds(5));
  EXPECT_EQ(ReasonOf(status).code(), v1::API_NOT_READY);
  EXPECT_THAT(ReasonOf(status).detail(), HasSubstr("500: failing: etcd"));
  EXPECT_EQ(api_.Log("GET", "/readyz").size(), 2u) << "not repeated";
}

TEST_F(KubeTest, ReadsNodesPageByPageOnTheServersClock) {
  api_.largest_page = 2;
  for (const char* name : {"s1", "s2", "s3", "w1", "w2"}) {
    api_.AddNode(name, "v1.31.4+k3s1");
  }
  time_.Advance(seconds(4));
  api_.RenewLease("s2");
  time_.Advance(seconds(3));
  const auto nodes = kube_->Nodes(For(seconds(10)));
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  ASSERT_EQ(nodes->size(), 5u);
  EXPECT_EQ((*nodes)[0].heartbeat_age_ms(), 7000u);
  EXPECT_EQ((*nodes)[1].heartbeat_age_ms(), 3000u);
  EXPECT_EQ(*kube_->ServerVersion(seconds(5)), "v1.31.4+k3s1");
}

TEST_F(KubeTest, NodesWithoutLeasesStillHaveAHeartbeat) {
  api_.AddNode("s1", "v1.31.4+k3s1");
  api_.Fail("/leases", 404, 1);
  time_.Advance(seconds(9));
  const auto nodes = kube_->Nodes(For(seconds(10)));
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  EXPECT_EQ((*nodes)[0].heartbeat_age_ms(), 9000u);
}

TEST_F(KubeTest, RepeatsWhileTheApiIsAway) {
  api_.AddNode("s1", "v1.31.4+k3s1");
  api_.Fail("/nodes", 503, 3);
  EXPECT_TRUE(kube_->Nodes(For(seconds(10))).ok());
  api_.Fail("/nodes", 503, 1000);
  EXPECT_EQ(kube_->Nodes(For(seconds(10))).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_GE(time_.Steady(), seconds(10));
}

TEST_F(KubeTest, ForbiddenIsSaidAtOnce) {
  api_.Fail("/nodes", 403, 1);
  EXPECT_EQ(kube_->Nodes(For(seconds(10))).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(time_.Steady(), milliseconds(0));
}

TEST_F(KubeTest, CordonsAndUncordonsOnlyItsOwn) {
  api_.AddNode("w1", "v1.31.4+k3s1");
  for (int i = 0; i < 2; ++i) {  // idempotent
    const auto result = kube_->Cordon("w1", "r1", For(seconds(5)));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_FALSE(result->cordoned_before());
  }
  EXPECT_EQ(api_.Node("w1")["metadata"]["annotations"][kCordonedBy], "r1");
  EXPECT_EQ(api_.Node("w1")["metadata"]["annotations"]["user/note"], "keep me");
  EXPECT_EQ(api_.Log("PATCH", "/nodes/w1").size(), 1u);

  ASSERT_TRUE(kube_->Uncordon("w1", "another", For(seconds(5))).ok());
  EXPECT_TRUE(api_.Node("w1")["spec"]["unschedulable"]) << "another rollout's cordon stays";
  EXPECT_TRUE(kube_->Cordon("w1", "another", For(seconds(5)))->cordoned_before());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(kube_->Uncordon("w1", "r1", For(seconds(5))).ok());
  }
  EXPECT_FALSE(api_.Node("w1")["spec"].contains("unschedulable"));
  EXPECT_FALSE(api_.Node("w1")["metadata"]["annotations"].contains(kCordonedBy));
}

TEST_F(KubeTest, ACordonOfTheUsersStays) {
  api_.AddNode("w1", "v1.31.4+k3s1")["spec"]["unschedulable"] = true;
  EXPECT_TRUE(kube_->Cordon("w1", "r1", For(seconds(5)))->cordoned_before());
  ASSERT_TRUE(kube_->Uncordon("w1", "r1", For(seconds(5))).ok());
  EXPECT_TRUE(api_.Node("w1")["spec"]["unschedulable"]);
  EXPECT_TRUE(api_.Log("PATCH", "/nodes").empty());
}

TEST_F(KubeTest, ACordonThatComesInBetweenIsNotTakenOver) {
  FakeKubernetes::Json& node = api_.AddNode("w1", "v1.31.4+k3s1");
  bool done = false;
  api_.before = [&](const std::string& method, const std::string&) {
    if (method == "PATCH" && !done) {  // the user is faster
      done = true;
      node["spec"]["unschedulable"] = true;
      node["metadata"]["resourceVersion"] = "999";
    }
  };
  EXPECT_TRUE(kube_->Cordon("w1", "r1", For(seconds(5)))->cordoned_before());
  EXPECT_FALSE(api_.Node("w1")["metadata"]["annotations"].contains(kCordonedBy));
}

TEST_F(KubeTest, ANodeThatIsGone) {
  EXPECT_EQ(kube_->Cordon("w9", "r1", For(seconds(5))).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(kube_->Uncordon("w9", "r1", For(seconds(5))).ok());
}

TEST_F(KubeTest, AwaitsVersionReadinessAndANewHeartbeat) {
  FakeKubernetes::Json& node = api_.AddNode("w1", "v1.31.4+k3s1");
  node["status"]["conditions"][0]["status"] = "False";
  std::vector<std::string> said;
  int looks = 0;
  api_.before = [&](const std::string&, const std::string& path) {
    if (path != "/api/v1/nodes/w1") {
      return;
    }
    ++looks;
    if (looks == 3) {
      node["status"]["nodeInfo"]["kubeletVersion"] = "v1.32.0+k3s1";
    } else if (looks == 5) {
      node["status"]["conditions"][0]["status"] = "True";
    } else if (looks == 8) {
      api_.RenewLease("w1");
    }
  };
  const auto status = kube_->AwaitNode(
      {.name = "w1", .version = "v1.32.0+k3s1"}, [&](const std::string& what) { said.push_back(what); },
      For(seconds(60)));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(looks, 8);
  ASSERT_GE(said.size(), 3u);
  EXPECT_THAT(said[0], HasSubstr("its kubelet says v1.31.4+k3s1, expected v1.32.0+k3s1"));
  EXPECT_THAT(said[1], HasSubstr("Ready condition"));
  EXPECT_THAT(said[2], HasSubstr("no new heartbeat"));
}

TEST_F(KubeTest, ANodeWhoseKubeletIsDeadIsNotBackHoweverReadyItLooks) {
  api_.AddNode("w1", "v1.32.0+k3s1");
  const auto status = kube_->AwaitNode({.name = "w1", .version = "v1.32.0+k3s1"}, {}, For(seconds(40)));
  EXPECT_EQ(ReasonOf(status).code(), v1::NODE_NOT_READY);
  EXPECT_THAT(ReasonOf(status).detail(), HasSubstr("no new heartbeat"));
}

TEST_F(KubeTest, AVersionThatIsNewsIsAHeartbeat) {
  api_.AddNode("w1", "v1.32.0+k3s1");
  const auto status = kube_->AwaitNode({.name = "w1", .version = "v1.32.0+k3s1", .version_is_news = true}, {},
                                       For(seconds(40)));
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(KubeTest, AWrongVersionIsNamedWhenTheTimeIsOver) {
  api_.AddNode("w1", "v1.31.4+k3s1");
  const auto status = kube_->AwaitNode({.name = "w1", .version = "v1.32.0+k3s1"}, {}, For(seconds(5)));
  EXPECT_EQ(ReasonOf(status).code(), v1::WRONG_VERSION_RUNNING);
}

TEST_F(KubeTest, AwaitingCanBeCancelledAndSurvivesAnApiThatIsAway) {
  api_.AddNode("w1", "v1.32.0+k3s1");
  api_.Fail("/nodes/w1", 503, 4);
  time_.on_pause = [this] { api_.RenewLease("w1"); };
  EXPECT_TRUE(kube_->AwaitNode({.name = "w1", .version = ""}, {}, For(seconds(60))).ok());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(
      kube_
          ->AwaitNode({.name = "w1", .version = "v9"}, {}, {.timeout = seconds(60), .stop = stop.get_token()})
          .code(),
      absl::StatusCode::kCancelled);
}

TEST_F(KubeTest, FindsObstaclesThroughBothVersionsOfThePolicy) {
  api_.AddPod("shop", "web-1", "w1");
  api_.AddBudget("shop", "web", "web", 0);
  for (const char* version : {"v1", "v1beta1"}) {
    api_.policy_version = version;
    const auto obstacles = kube_->DrainObstacles(v1::DrainPolicy(), For(seconds(5)));
    ASSERT_TRUE(obstacles.ok()) << obstacles.status();
    ASSERT_EQ(obstacles->size(), 1u) << version;
    EXPECT_EQ((*obstacles)[0].reason().code(), v1::BUDGET_NEVER_ALLOWS);
  }
}

TEST_F(KubeTest, ReadsTheKubeconfigAgainWhenItChanged) {
  FakeKubernetes other(time_);
  const TempDir dir;
  const std::string path = dir.Write("k3s.yaml", *ReadFile(api_.KubeconfigPath()));
  const auto kube = MakeKube([&] { return path; }, time_, time_);
  EXPECT_TRUE(kube->Ready(seconds(5)).ok());
  dir.Write("k3s.yaml", *ReadFile(other.KubeconfigPath()));
  EXPECT_TRUE(kube->Ready(seconds(5)).ok());
  EXPECT_EQ(other.Log("GET", "/readyz").size(), 1u);
  ASSERT_TRUE(RemoveFileDurably(path).ok());
  EXPECT_THAT(ReasonOf(kube->Ready(seconds(5))).detail(), HasSubstr("k3s.yaml"));
}

TEST_F(KubeTest, AWorkerHasNoKubeconfig) {
  const auto kube = MakeKube([] { return ""; }, time_, time_);
  EXPECT_EQ(kube->Nodes(For(seconds(5))).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace k3saga::kube
