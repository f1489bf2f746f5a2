#include "lab/k3s/controllers.h"

#include "lab/k3s/eviction.h"
#include "lab/k3s/readiness.h"

namespace k3saga::lab {
namespace {

constexpr int64_t kNow = 1'700'000'000'000;

class ControllersTest : public ::testing::Test {
 protected:
  void AddNode(const std::string& name, int64_t heartbeat, bool cordoned = false) {
    json node = {{"metadata", {{"name", name}, {"labels", json::object()}}},
                 {"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
    if (cordoned) node["spec"]["unschedulable"] = true;
    ASSERT_TRUE(objects_.Create(BuiltIn("nodes"), node).ok());
    Beat(name, heartbeat);
  }
  void Beat(const std::string& name, int64_t at) {
    json lease = {{"metadata", {{"name", name}, {"namespace", "kube-node-lease"}}},
                  {"spec", {{"renewTime", FormatMicroTime(at)}}}};
    if (!objects_.Create(BuiltIn("leases"), lease).ok()) {
      ASSERT_TRUE(objects_.Update(BuiltIn("leases"), lease).ok());
    }
  }
  void Pass(int64_t now) { ASSERT_TRUE(RunControllers(objects_, timings_, now).ok()); }
  std::vector<json> Pods(const std::string& name_space) {
    auto pods = objects_.List(BuiltIn("pods"), name_space);
    return pods.ok() ? *std::move(pods) : std::vector<json>();
  }
  std::map<std::string, int> ReadyPodsByNode() {
    std::map<std::string, int> counts;
    for (const json& pod : Pods("default")) {
      if (PodIsReady(pod) && !IsTerminating(pod)) ++counts[TextAt(pod, {"spec", "nodeName"})];
    }
    return counts;
  }

  Timings timings_;
  MemoryStore store_;
  ObjectStore objects_{store_};
};

TEST_F(ControllersTest, PodsAreSpreadAndGetReady) {
  AddNode("w1", kNow);
  AddNode("w2", kNow);
  ASSERT_TRUE(CreateDeployment(objects_, "default", "web", 4, json::object()).ok());
  Pass(kNow);
  EXPECT_TRUE(ReadyPodsByNode().empty()) << "not at once";
  Pass(kNow + timings_.pod_start_ms);
  EXPECT_EQ(ReadyPodsByNode(), (std::map<std::string, int>{{"w1", 2}, {"w2", 2}}));
}

TEST_F(ControllersTest, AnEvictedPodComesBackOnANodeThatIsNotCordoned) {
  AddNode("w1", kNow);
  ASSERT_TRUE(CreateDeployment(objects_, "default", "web", 2, json::object()).ok());
  Pass(kNow);
  Pass(kNow + 1000);
  AddNode("w2", kNow);
  ASSERT_TRUE(objects_
                  .Modify(BuiltIn("nodes"), "", "w1",
                          [](json& node) {
                            node["spec"]["unschedulable"] = true;
                            return true;
                          })
                  .ok());
  for (json pod : Pods("default")) {
    pod["metadata"]["deletionTimestamp"] = FormatMicroTime(kNow + 1000);
    ASSERT_TRUE(objects_.Update(BuiltIn("pods"), pod).ok());
  }
  Pass(kNow + 1100);
  Pass(kNow + 2500);
  EXPECT_EQ(ReadyPodsByNode(), (std::map<std::string, int>{{"w2", 2}}));
  EXPECT_EQ(Pods("default").size(), 2u) << "the old ones are gone";
}

TEST_F(ControllersTest, ASilentNodeIsNotReadyAndFinishesNothing) {
  AddNode("w1", kNow - timings_.node_grace_ms - 1);
  Pass(kNow);
  const json node = *objects_.Get(BuiltIn("nodes"), "", "w1");
  EXPECT_EQ(node["status"]["conditions"][0]["status"], "Unknown");
}

TEST_F(ControllersTest, DaemonSetsIgnoreCordonsAndBudgetsAreKept) {
  AddNode("s1", kNow);
  AddNode("w1", kNow, /*cordoned=*/true);
  ASSERT_TRUE(SeedWorkload(objects_, 1).ok());
  ASSERT_TRUE(SeedWorkload(objects_, 1).ok()) << "again is fine";
  Pass(kNow);
  int daemons = 0;
  for (const json& pod : Pods("kube-system")) {
    daemons += TextAt(ControllerOf(pod), {"kind"}) == "DaemonSet" ? 1 : 0;
  }
  EXPECT_EQ(daemons, 2);
  Pass(kNow + 1000);
  const json budget = *objects_.Get(BuiltIn("poddisruptionbudgets"), "default", "web");
  EXPECT_EQ(NumberAt(budget, {"status", "expectedPods"}), 2);
  EXPECT_EQ(NumberAt(budget, {"status", "disruptionsAllowed"}), 1);
}

TEST_F(ControllersTest, OneLeadsUntilItIsSilent) {
  Leadership first(objects_, "s1");
  Leadership second(objects_, "s2");
  EXPECT_TRUE(first.Acquire(kNow, 3000));
  EXPECT_FALSE(second.Acquire(kNow, 3000));
  EXPECT_TRUE(first.Acquire(kNow + 2000, 3000));
  EXPECT_FALSE(second.Acquire(kNow + 4000, 3000)) << "it saw a renewal just now";
  EXPECT_TRUE(second.Acquire(kNow + 7001, 3000));
  EXPECT_FALSE(first.Acquire(kNow + 7002, 3000));
}

TEST(Readiness, GoesThroughTheStagesOfRealK3s) {
  struct Case {
    StageInput input;
    Stage stage;
  };
  for (const Case& test :
       {Case{{100, 1000, -1, false}, Stage::kPortClosed}, Case{{300, 1000, -1, false}, Stage::kStarting},
        Case{{5000, 1000, -1, false}, Stage::kStarting}, Case{{650, 1000, 0, false}, Stage::kNoRoutes},
        Case{{800, 1000, 0, false}, Stage::kHooks}, Case{{1000, 1000, 0, false}, Stage::kReady},
        Case{{9000, 1000, 0, true}, Stage::kHooks}}) {
    EXPECT_EQ(StageOf(test.input), test.stage) << test.input.elapsed_ms;
  }
}

}  // namespace
}  // namespace k3saga::lab
