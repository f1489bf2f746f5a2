#include "agent/kube/obstacles.h"

namespace k3saga::kube {
namespace {

Pod WebPod(const std::string& name, const std::string& node) {
  Pod pod;
  pod.name_space = "shop";
  pod.name = name;
  pod.node = node;
  pod.labels = {{"app", "web"}};
  pod.phase = "Running";
  pod.controller_kind = "ReplicaSet";
  return pod;
}

Budget WebBudget(const std::string& name, int64_t desired, int64_t expected) {
  Budget budget;
  budget.name_space = "shop";
  budget.name = name;
  budget.selector.labels = {{"app", "web"}};
  budget.desired_healthy = desired;
  budget.expected_pods = expected;
  return budget;
}

TEST(Budget, KnowsWhenItCanNeverAllow) {
  const struct {
    const char* name;
    const char* min_available;
    const char* max_unavailable;
    int64_t desired, expected;
    bool never;
  } kCases[] = {
      {"two of three", "2", "", 2, 3, false},
      {"three of three", "3", "", 3, 3, true},
      {"more than there are", "5", "", 5, 3, true},
      {"none may be away", "", "0", 3, 3, true},
      {"none may be away, not looked at yet", "", "0%", 0, 0, true},
      {"all of them", "100%", "", 3, 3, true},
      {"one of one may be away", "", "1", 0, 1, false},
      {"covers nothing", "1", "", 1, 0, false},
      {"half", "50%", "", 2, 3, false},
      {"half of one is one", "50%", "", 1, 1, true},
  };
  for (const auto& c : kCases) {
    Budget budget = WebBudget("web", c.desired, c.expected);
    budget.min_available = c.min_available;
    budget.max_unavailable = c.max_unavailable;
    EXPECT_EQ(!WhyNever(budget).empty(), c.never) << c.name;
  }
}

TEST(Obstacles, NameEachBudgetOnceANode) {
  const std::vector<Pod> pods = {WebPod("web-1", "w2"), WebPod("web-2", "w1"), WebPod("web-3", "w2")};
  v1::DrainPolicy policy;
  policy.set_timeout_seconds(120);
  const auto found = FindObstacles(pods, {WebBudget("web", 3, 3)}, policy);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].node(), "w1");
  EXPECT_EQ(found[1].node(), "w2");
  EXPECT_EQ(found[0].reason().code(), v1::BUDGET_NEVER_ALLOWS);
  EXPECT_EQ(found[0].reason().subject(), "shop/web");
  EXPECT_THAT(found[0].reason().detail(), ::testing::HasSubstr("wants 3 healthy pods and there are 3"));
  EXPECT_THAT(found[0].reason().remedy(), ::testing::HasSubstr("waits 120 s and then fails"));
}

TEST(Obstacles, SayWhatThePolicyWillDo) {
  const std::vector<Pod> pods = {WebPod("web-1", "w1")};
  v1::DrainPolicy policy;
  policy.set_on_timeout(v1::DrainPolicy::FORCE);
  EXPECT_THAT(FindObstacles(pods, {WebBudget("web", 1, 1)}, policy)[0].reason().remedy(),
              ::testing::HasSubstr("deletes the pods"));
  policy.set_on_timeout(v1::DrainPolicy::PROCEED);
  EXPECT_THAT(FindObstacles(pods, {WebBudget("web", 1, 1)}, policy)[0].reason().remedy(),
              ::testing::HasSubstr("goes on with the pods"));
}

TEST(Obstacles, TwoBudgetsOverOnePodBlockItForEver) {
  const auto found = FindObstacles({WebPod("web-1", "w1")}, {WebBudget("web", 1, 3), WebBudget("all", 1, 3)},
                                   v1::DrainPolicy());
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].reason().subject(), "shop/web-1");
  EXPECT_THAT(found[0].reason().detail(), ::testing::HasSubstr("web and all"));
}

TEST(Obstacles, LeaveOutWhatADrainDoesNotTouch) {
  Pod elsewhere = WebPod("web-1", "w1");
  elsewhere.name_space = "other";
  Pod unscheduled = WebPod("web-2", "");
  Pod leaving = WebPod("web-3", "w1");
  leaving.terminating = true;
  Pod finished = WebPod("web-4", "w1");
  finished.phase = "Succeeded";
  Pod daemon = WebPod("web-5", "w1");
  daemon.controller_kind = "DaemonSet";
  EXPECT_TRUE(FindObstacles({elsewhere, unscheduled, leaving, finished, daemon}, {WebBudget("web", 3, 3)},
                            v1::DrainPolicy())
                  .empty());
}

TEST(Obstacles, NamePodsThatThePolicyDoesNotAllowToRemove) {
  Pod unmanaged = WebPod("by-hand", "w1");
  unmanaged.controller_kind = "";
  Pod cache = WebPod("cache", "w1");
  cache.empty_dir = true;
  const auto found = FindObstacles({unmanaged, cache}, {}, v1::DrainPolicy());
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].reason().code(), v1::POD_IN_THE_WAY);
  EXPECT_EQ(found[0].reason().subject(), "shop/by-hand");
  EXPECT_EQ(found[1].reason().subject(), "shop/cache");
  v1::DrainPolicy allowed;
  allowed.set_force_unmanaged(true);
  allowed.set_delete_empty_dir_data(true);
  EXPECT_TRUE(FindObstacles({unmanaged, cache}, {}, allowed).empty());
}

}  // namespace
}  // namespace k3saga::kube
