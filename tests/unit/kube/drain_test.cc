#include "agent/kube/kube.h"
#include "common/reason.h"
#include "tests/support/fake_kubernetes.h"

namespace k3saga::kube {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeKubernetes;
using testing::FakeTime;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Lt;
using Json = FakeKubernetes::Json;

class DrainTest : public ::testing::Test {
 protected:
  DrainTest() {
    policy_.set_enabled(true);
    policy_.set_timeout_seconds(120);
    policy_.set_grace_period_seconds(-1);
  }
  absl::StatusOr<v1::DrainResult> Drain(std::stop_token stop = {}) {
    return kube_->Drain("w1", policy_, [this](const DrainState& state) { said_.push_back(Describe(state)); },
                        {.timeout = seconds(600), .stop = std::move(stop)});
  }

  FakeTime time_;
  FakeKubernetes api_{time_};
  std::unique_ptr<Kube> kube_ = MakeKube([this] { return api_.KubeconfigPath(); }, time_, time_);
  v1::DrainPolicy policy_;
  std::vector<std::string> said_;
};

TEST_F(DrainTest, EvictsEveryPodOfThatNodeAndWaitsUntilTheyAreGone) {
  api_.largest_page = 2;
  for (int i = 1; i <= 5; ++i) {
    api_.AddPod("shop", absl::StrCat("web-", i), "w1");
  }
  api_.AddPod("shop", "elsewhere", "w2");
  api_.AddPod("kube-system", "svclb", "w1")["metadata"]["ownerReferences"][0]["kind"] = "DaemonSet";
  const auto result = Drain();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->evicted(), 5u);
  EXPECT_EQ(result->left(), 0u);
  EXPECT_TRUE(api_.Pod("shop", "web-3").is_null());
  EXPECT_FALSE(api_.Pod("shop", "elsewhere").is_null());
  EXPECT_FALSE(api_.Pod("kube-system", "svclb").is_null());
  EXPECT_EQ(api_.Log("POST", "/eviction").size(), 5u);
  EXPECT_EQ(said_.back(), "no pods left");
  EXPECT_GE(time_.Steady(), api_.termination);

  // Again: nothing to do.
  const auto again = Drain();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->evicted(), 0u);
}

TEST_F(DrainTest, AsksForTheGracePeriodAndForThatVeryPod) {
  const std::string uid = api_.AddPod("shop", "web-1", "w1")["metadata"]["uid"];
  policy_.set_grace_period_seconds(0);
  api_.policy_version = "v1beta1";
  ASSERT_TRUE(Drain().ok());
  const auto evictions = api_.Log("POST", "/eviction");
  ASSERT_EQ(evictions.size(), 1u);
  EXPECT_EQ(evictions[0].body["apiVersion"], "policy/v1beta1");
  EXPECT_EQ(evictions[0].body["deleteOptions"]["gracePeriodSeconds"], 0);
  EXPECT_EQ(evictions[0].body["deleteOptions"]["preconditions"]["uid"], uid);
  EXPECT_FALSE(Json(evictions[0].body["deleteOptions"]).contains("force"));
}

TEST_F(DrainTest, WaitsForABudgetAsLongAsTheServerSays) {
  api_.AddPod("shop", "web-1", "w1");
  Json& budget = api_.AddBudget("shop", "web", "web", 0);
  api_.retry_after = 7;
  time_.on_pause = [&] {
    if (time_.Steady() >= seconds(10)) {
      budget["status"]["disruptionsAllowed"] = 1;
    }
  };
  const auto result = Drain();
  ASSERT_TRUE(result.ok()) << result.status();
  const auto evictions = api_.Log("POST", "/eviction");
  ASSERT_EQ(evictions.size(), 3u);
  for (size_t i = 1; i < 3; ++i) {  // asked again with the first look that is not too early
    EXPECT_THAT(evictions[i].at - evictions[i - 1].at, AllOf(Ge(seconds(7)), Lt(seconds(8))));
  }
  EXPECT_THAT(said_[0], HasSubstr("shop/web-1 (budget web needs 3 healthy pods and has 3 currently)"));
}

TEST_F(DrainTest, ABudgetLetsPodsGoOneAfterTheOther) {
  for (int i = 1; i <= 3; ++i) {
    api_.AddPod("shop", absl::StrCat("web-", i), "w1");
  }
  Json& budget = api_.AddBudget("shop", "web", "web", 1);
  int away = 0;
  int most_away = 0;
  api_.before = [&](const std::string&, const std::string&) {
    away = 1 - budget["status"]["disruptionsAllowed"].get<int>();
    most_away = std::max(most_away, away);
  };
  api_.pod_gone = [&](const Json&) {
    budget["status"]["disruptionsAllowed"] = 1;
  };  // its replacement is ready
  const auto result = Drain();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->evicted(), 3u);
  EXPECT_EQ(most_away, 1);
}

TEST_F(DrainTest, FailsWhenTheTimeIsOverAndNamesPodsAndBudgets) {
  api_.AddPod("shop", "web-1", "w1");
  api_.AddPod("shop", "free", "w1")["metadata"]["labels"]["app"] = "free";
  api_.AddBudget("shop", "web", "web", 0);
  const auto result = Drain();
  const v1::Reason reason = ReasonOf(result.status());
  EXPECT_EQ(reason.code(), v1::DRAIN_BLOCKED);
  EXPECT_EQ(reason.subject(), "w1");
  EXPECT_THAT(reason.detail(), HasSubstr("1 pod left: shop/web-1 (budget web needs"));
  EXPECT_GE(time_.Steady(), seconds(120));
  EXPECT_LT(time_.Steady(), seconds(130));
  EXPECT_TRUE(api_.Pod("shop", "free").is_null());
}

TEST_F(DrainTest, MayForceWhatABudgetHolds) {
  api_.AddPod("shop", "web-1", "w1");
  api_.AddBudget("shop", "web", "web", 0);
  policy_.set_on_timeout(v1::DrainPolicy::FORCE);
  const auto result = Drain();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->evicted(), 1u);
  EXPECT_EQ(result->left(), 0u);
  EXPECT_EQ(api_.Log("DELETE", "/pods/web-1").size(), 1u);
}

TEST_F(DrainTest, MayGoOnWithPodsOnTheNode) {
  api_.AddPod("shop", "web-1", "w1");
  api_.AddPod("shop", "by-hand", "w1")["metadata"].erase("ownerReferences");
  api_.AddBudget("shop", "web", "web", 0);
  policy_.set_on_timeout(v1::DrainPolicy::PROCEED);
  const auto result = Drain();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->evicted(), 0u);
  EXPECT_EQ(result->left(), 2u);
  EXPECT_TRUE(api_.Log("POST", "/pods/by-hand").empty());
}

TEST_F(DrainTest, RefusesBeforeAnythingWasEvicted) {
  api_.AddPod("shop", "web-1", "w1");
  api_.AddPod("shop", "by-hand", "w1")["metadata"].erase("ownerReferences");
  api_.AddPod("shop", "cache", "w1")["spec"]["volumes"] = {{{"name", "data"}, {"emptyDir", Json::object()}}};
  const v1::Reason reason = ReasonOf(Drain().status());
  EXPECT_EQ(reason.code(), v1::POD_IN_THE_WAY);
  EXPECT_THAT(reason.detail(), HasSubstr("shop/by-hand, shop/cache"));
  EXPECT_TRUE(api_.Log("POST", "/eviction").empty());

  policy_.set_delete_empty_dir_data(true);
  policy_.set_force_unmanaged(true);
  EXPECT_EQ(Drain()->evicted(), 3u);
}

TEST_F(DrainTest, TakesOnlyWhatThePodSelectorNames) {
  api_.AddPod("shop", "web-1", "w1");
  api_.AddPod("shop", "db-1", "w1")["metadata"]["labels"]["app"] = "db";
  policy_.set_pod_selector("app=web");
  EXPECT_EQ(Drain()->evicted(), 1u);
  EXPECT_FALSE(api_.Pod("shop", "db-1").is_null());
}

TEST_F(DrainTest, APodThatComesBackIsEvictedAgainButNotForEver) {
  api_.AddPod("shop", "web-1", "w1");
  int times = 0;
  api_.pod_gone = [&](const Json&) { api_.AddPod("shop", absl::StrCat("web-again-", ++times), "w1"); };
  const auto result = Drain();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(times, 4);
  EXPECT_EQ(result->evicted(), 4u);
  EXPECT_EQ(result->left(), 1u);
}

TEST_F(DrainTest, SurvivesAnApiThatIsAwayForAWhile) {
  api_.AddPod("shop", "web-1", "w1");
  api_.Fail("/eviction", 503, 2);
  api_.Fail("/api/v1/pods", 503, 30);
  const auto result = Drain();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->evicted(), 1u);
}

TEST_F(DrainTest, APodThatIsGoneOrReplacedMeanwhileIsFine) {
  api_.AddPod("shop", "web-1", "w1");
  api_.Fail("/eviction", 404, 1);
  time_.on_pause = [&] {
    if (api_.Log("POST", "/eviction").size() == 1) {
      api_.AddPod("shop", "web-1", "w1");  // the same name, another uid
    }
  };
  const auto result = Drain();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(api_.Pod("shop", "web-1").is_null());
}

TEST_F(DrainTest, ForbiddenEndsItAtOnce) {
  api_.AddPod("shop", "web-1", "w1");
  api_.Fail("/eviction", 403, 1);
  EXPECT_EQ(Drain().status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_LT(time_.Steady(), seconds(5));
}

TEST_F(DrainTest, CanBeCancelled) {
  api_.AddPod("shop", "web-1", "w1");
  api_.AddBudget("shop", "web", "web", 0);
  std::stop_source stop;
  time_.on_pause = [&] {
    if (time_.Steady() > seconds(3)) {
      stop.request_stop();
    }
  };
  EXPECT_EQ(Drain(stop.get_token()).status().code(), absl::StatusCode::kCancelled);
  EXPECT_LT(time_.Steady(), seconds(10));
}

}  // namespace
}  // namespace k3saga::kube
