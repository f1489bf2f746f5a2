#include "agent/kube/objects.h"

#include "agent/kube/nodes.h"

namespace k3saga::kube {
namespace {

TEST(Json, NeverThrowsOnWhatAServerSends) {
  const Json json = Json::parse(R"({"a": {"b": "text", "n": 7, "list": [1]}, "null": null})");
  EXPECT_EQ(TextAt(json, {"a", "b"}), "text");
  EXPECT_EQ(TextAt(json, {"a", "n"}), "");
  EXPECT_EQ(TextAt(json, {"a", "b", "c"}), "");
  EXPECT_EQ(NumberAt(json, {"a", "n"}), 7);
  EXPECT_EQ(NumberAt(json, {"a", "b"}, 3), 3);
  EXPECT_EQ(ListAt(json, {"a", "list"}).size(), 1u);
  EXPECT_TRUE(ListAt(json, {"null"}).empty());
  EXPECT_TRUE(LabelsAt(json, {"nowhere"}).empty());
}

TEST(Selector, MatchesAsTheApiDoes) {
  const Labels labels = {{"app", "web"}, {"tier", "front"}};
  const struct {
    const char* selector;
    bool v1;
    bool v1beta1;
  } kCases[] = {
      {R"({"matchLabels": {"app": "web"}})", true, true},
      {R"({"matchLabels": {"app": "db"}})", false, false},
      {R"({"matchLabels": {"app": "web", "zone": "a"}})", false, false},
      {R"({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]})", true, true},
      {R"({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]})", false, false},
      {R"({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]})", true, true},
      {R"({"matchExpressions": [{"key": "tier", "operator": "Exists"}]})", true, true},
      {R"({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]})", false, false},
      {R"({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "zone", "operator": "Exists"}]})",
       false, false},
      {R"({"matchExpressions": [{"key": "app", "operator": "Unheard"}]})", false, false},
      {"{}", true, false},  // empty: everything in v1, nothing in v1beta1
      {"null", false, false},
  };
  for (const auto& c : kCases) {
    Json object;
    object["spec"]["selector"] = Json::parse(c.selector);
    EXPECT_EQ(BudgetOf(object, false).selector.Matches(labels), c.v1) << c.selector;
    EXPECT_EQ(BudgetOf(object, true).selector.Matches(labels), c.v1beta1) << c.selector;
  }
}

Json NodeJson() {
  return Json::parse(R"({
    "metadata": {"name": "s1", "resourceVersion": "41",
                 "labels": {"node-role.kubernetes.io/control-plane": "true", "node-role.kubernetes.io/etcd": "true"}},
    "spec": {},
    "status": {"nodeInfo": {"kubeletVersion": "v1.31.4+k3s1"},
               "addresses": [{"type": "InternalIP", "address": "10.0.0.11"}],
               "conditions": [{"type": "MemoryPressure", "status": "False"},
                              {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-31T12:00:00Z"}]}})");
}

constexpr int64_t kNoon = 1769860800000;  // 2026-01-31T12:00:00Z

TEST(Node, IsReadWithItsHeartbeat) {
  const v1::KubeNode node = NodeOf(NodeJson(), "2026-01-31T12:00:07.250000Z", kNoon + 10'000);
  EXPECT_EQ(node.name(), "s1");
  EXPECT_TRUE(node.ready());
  EXPECT_FALSE(node.unschedulable());
  EXPECT_EQ(node.kubelet_version(), "v1.31.4+k3s1");
  EXPECT_TRUE(node.control_plane());
  EXPECT_TRUE(node.etcd());
  EXPECT_FALSE(node.pressure());
  EXPECT_EQ(node.addresses(0), "10.0.0.11");
  EXPECT_EQ(node.heartbeat_age_ms(), 2750u) << "the lease is younger than the condition";
  EXPECT_EQ(NodeOf(NodeJson(), "", kNoon + 10'000).heartbeat_age_ms(), 10'000u)
      << "without a lease the condition";
  EXPECT_EQ(NodeOf(NodeJson(), "", kNoon - 10'000).heartbeat_age_ms(), 0u)
      << "a clock ahead makes no negative age";
  Json silent = NodeJson();
  silent["status"].erase("conditions");
  EXPECT_FALSE(NodeOf(silent, "", kNoon).ready());
  EXPECT_GT(NodeOf(silent, "", kNoon).heartbeat_age_ms(), 1'000'000'000u) << "never heard of";
}

TEST(Cordon, TouchesOnlyWhatIsOurs) {
  const struct {
    const char* name;
    const char* node;  // merged into a schedulable one
    bool cordon_patches, cordon_somebody_elses;
    bool uncordon_patches;
  } kCases[] = {
      {"schedulable", "{}", true, false, false},
      {"cordoned by the user", R"({"spec": {"unschedulable": true}})", false, true, false},
      {"cordoned by this rollout",
       R"({"spec": {"unschedulable": true}, "metadata": {"annotations": {"k3saga.io/cordoned-by": "r1"}}})",
       false, false, true},
      {"cordoned by another rollout",
       R"({"spec": {"unschedulable": true}, "metadata": {"annotations": {"k3saga.io/cordoned-by": "r0"}}})",
       false, true, false},
      {"ours, uncordoned by the user", R"({"metadata": {"annotations": {"k3saga.io/cordoned-by": "r1"}}})",
       true, false, true},
  };
  for (const auto& c : kCases) {
    Json node = NodeJson();
    node.merge_patch(Json::parse(c.node));
    const CordonChange cordon = ChangeToCordon(node, "r1");
    EXPECT_EQ(!cordon.patch.is_null(), c.cordon_patches) << c.name;
    EXPECT_EQ(cordon.somebody_elses, c.cordon_somebody_elses) << c.name;
    const CordonChange uncordon = ChangeToUncordon(node, "r1");
    EXPECT_EQ(!uncordon.patch.is_null(), c.uncordon_patches) << c.name;
    for (const Json& patch : {cordon.patch, uncordon.patch}) {
      if (!patch.is_null()) {
        EXPECT_EQ(patch["metadata"]["resourceVersion"], "41") << c.name;
      }
    }
  }
}

TEST(Time, OfTheApiIsRead) {
  EXPECT_EQ(UnixMillisOf("2026-01-31T12:00:00Z"), kNoon);
  EXPECT_EQ(UnixMillisOf("2026-01-31T12:00:00.123456Z"), kNoon + 123);
  EXPECT_EQ(UnixMillisOf("2026-01-31T13:00:00+01:00"), kNoon);
  EXPECT_EQ(UnixMillisOf(""), std::nullopt);
  EXPECT_EQ(UnixMillisOf("yesterday"), std::nullopt);
}

}  // namespace
}  // namespace k3saga::kube
