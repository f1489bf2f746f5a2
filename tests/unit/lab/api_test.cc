#include "lab/k3s/api.h"

#include "lab/k3s/eviction.h"

namespace k3saga::lab {
namespace {

class ApiTest : public ::testing::Test {
 protected:
  ApiResponse Call(const std::string& method, const std::string& path, const json& body = nullptr,
                   const std::string& type = "application/json",
                   const std::map<std::string, std::string>& query = {}) {
    return api_.Handle({method, path, query, type, body.is_null() ? "" : body.dump()});
  }
  json Pod(const std::string& name, const json& labels, const std::string& node = "w1") {
    return {{"metadata", {{"name", name}, {"labels", labels}}},
            {"spec", {{"nodeName", node}}},
            {"status", {{"phase", "Running"}, {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
  }
  static std::vector<std::string> Names(const ApiResponse& list) {
    std::vector<std::string> names;
    for (const json& item : list.body.value("items", json::array())) names.push_back(NameOf(item));
    return names;
  }

  MemoryStore store_;
  ObjectStore objects_{store_};
  Api api_{store_};
};

constexpr char kPods[] = "/api/v1/namespaces/default/pods";

TEST_F(ApiTest, CreatesReadsAndRefusesTwice) {
  EXPECT_EQ(Call("GET", "/api/v1/nodes/s1").code, 404);
  const ApiResponse created = Call("POST", "/api/v1/nodes", {{"metadata", {{"name", "s1"}}}});
  EXPECT_EQ(created.code, 201);
  EXPECT_FALSE(TextAt(created.body, {"metadata", "uid"}).empty());
  EXPECT_EQ(Call("POST", "/api/v1/nodes", {{"metadata", {{"name", "s1"}}}}).code, 409);
  EXPECT_EQ(Call("GET", "/api/v1/nodes/s1").body["kind"], "Node");
  EXPECT_EQ(Call("GET", "/api/v1/unicorns").code, 404);
}

TEST_F(ApiTest, TellsThatPodsCanBeEvicted) {
  bool found = false;
  const json resources = Call("GET", "/api/v1").body["resources"];
  for (const json& resource : resources) {
    found = found || (resource["name"] == "pods/eviction" && TextAt(resource, {"version"}) == "v1");
  }
  EXPECT_TRUE(found);
}

TEST_F(ApiTest, TellsTheVersionsOfAGroup) {
  EXPECT_EQ(Call("GET", "/apis/policy").body["versions"][0]["version"], "v1");
  EXPECT_EQ(Call("GET", "/apis/unicorns.io").code, 404);
}

TEST_F(ApiTest, APatchWithAStaleResourceVersionConflicts) {
  const ApiResponse created = Call("POST", "/api/v1/nodes", {{"metadata", {{"name", "w1"}}}});
  const std::string version = TextAt(created.body, {"metadata", "resourceVersion"});
  const json cordon = {{"metadata", {{"resourceVersion", version}}}, {"spec", {{"unschedulable", true}}}};
  EXPECT_EQ(Call("PATCH", "/api/v1/nodes/w1", cordon, "application/merge-patch+json").code, 200);
  const ApiResponse stale = Call("PATCH", "/api/v1/nodes/w1", cordon, "application/merge-patch+json");
  EXPECT_EQ(stale.code, 409);
  EXPECT_EQ(stale.body["reason"], "Conflict");
  // Null takes a field away.
  const json uncordon = {{"spec", {{"unschedulable", nullptr}}}};
  EXPECT_TRUE(ObjectAt(Call("PATCH", "/api/v1/nodes/w1", uncordon, "application/merge-patch+json").body,
                       {"spec", "unschedulable"})
                  .is_null());
}

TEST_F(ApiTest, StatusChangesOnlyThroughItsSubresource) {
  Call("POST", "/api/v1/nodes", {{"metadata", {{"name", "w1"}}}});
  const json ready = {{"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
  Call("PATCH", "/api/v1/nodes/w1", ready, "application/merge-patch+json");
  EXPECT_TRUE(ObjectAt(Call("GET", "/api/v1/nodes/w1").body, {"status"}).is_null());
  Call("PATCH", "/api/v1/nodes/w1/status", ready, "application/strategic-merge-patch+json");
  const json pressure = {{"status", {{"conditions", {{{"type", "DiskPressure"}, {"status", "False"}}}}}}};
  Call("PATCH", "/api/v1/nodes/w1/status", pressure, "application/strategic-merge-patch+json");
  EXPECT_EQ(Call("GET", "/api/v1/nodes/w1").body["status"]["conditions"].size(), 2u) << "merged by type";
}

TEST_F(ApiTest, ListsBySelectorsAndInPages) {
  for (const char* name : {"a", "b", "c"}) Call("POST", kPods, Pod(name, {{"app", "web"}}, "w1"));
  Call("POST", kPods, Pod("d", {{"app", "db"}, {"tier", "x"}}, "w2"));
  struct Case {
    std::map<std::string, std::string> query;
    std::vector<std::string> names;
  };
  for (const Case& test : {Case{{{"fieldSelector", "spec.nodeName=w2"}}, {"d"}},
                           Case{{{"fieldSelector", "spec.nodeName!=w2"}}, {"a", "b", "c"}},
                           Case{{{"labelSelector", "app=web"}}, {"a", "b", "c"}},
                           Case{{{"labelSelector", "app in (db,cache)"}}, {"d"}},
                           Case{{{"labelSelector", "app notin (web)"}}, {"d"}},
                           Case{{{"labelSelector", "!tier"}}, {"a", "b", "c"}},
                           Case{{{"labelSelector", "tier,app!=web"}}, {"d"}}}) {
    EXPECT_EQ(Names(Call("GET", "/api/v1/pods", nullptr, "", test.query)), test.names);
  }
  const ApiResponse first = Call("GET", "/api/v1/pods", nullptr, "", {{"limit", "3"}});
  EXPECT_EQ(Names(first), (std::vector<std::string>{"a", "b", "c"}));
  const std::string token = TextAt(first.body, {"metadata", "continue"});
  ASSERT_FALSE(token.empty());
  const ApiResponse second = Call("GET", "/api/v1/pods", nullptr, "", {{"limit", "3"}, {"continue", token}});
  EXPECT_EQ(Names(second), std::vector<std::string>{"d"});
  EXPECT_EQ(TextAt(second.body, {"metadata", "continue"}), "");
}

TEST_F(ApiTest, APodOnANodeIsDeletedByItsKubelet) {
  Call("POST", kPods, Pod("a", {}, "w1"));
  Call("DELETE", absl::StrCat(kPods, "/a"), json::object());
  EXPECT_TRUE(IsTerminating(Call("GET", absl::StrCat(kPods, "/a")).body));
  Call("DELETE", absl::StrCat(kPods, "/a"), {{"gracePeriodSeconds", 0}});
  EXPECT_EQ(Call("GET", absl::StrCat(kPods, "/a")).code, 404);
}

TEST_F(ApiTest, AnEvictionTakesFromTheBudgetAndIsRefusedWhenItIsSpent) {
  const json budget = {{"metadata", {{"name", "web"}}},
                       {"spec", {{"minAvailable", 1}, {"selector", {{"matchLabels", {{"app", "web"}}}}}}}};
  Call("POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget);
  for (const char* name : {"a", "b"}) Call("POST", kPods, Pod(name, {{"app", "web"}}));
  auto pods = objects_.List(BuiltIn("pods"));
  auto stored = objects_.Get(BuiltIn("poddisruptionbudgets"), "default", "web");
  (*stored)["status"] = BudgetStatus(*stored, *pods, {});
  ASSERT_TRUE(objects_.Update(BuiltIn("poddisruptionbudgets"), *stored).ok());

  const json eviction = {{"kind", "Eviction"}, {"metadata", {{"name", "a"}}}};
  EXPECT_EQ(Call("POST", absl::StrCat(kPods, "/a/eviction"), eviction, "", {{"dryRun", "All"}}).code, 201);
  EXPECT_FALSE(IsTerminating(Call("GET", absl::StrCat(kPods, "/a")).body)) << "a dry run changes nothing";
  EXPECT_EQ(Call("POST", absl::StrCat(kPods, "/a/eviction"), eviction).code, 201);
  const ApiResponse refused = Call("POST", absl::StrCat(kPods, "/b/eviction"), eviction);
  EXPECT_EQ(refused.code, 429);
  EXPECT_EQ(refused.body["details"]["causes"][0]["reason"], "DisruptionBudget");
}

TEST_F(ApiTest, CustomResourcesAreServedOnceDefined) {
  const std::string backups = "/apis/velero.io/v1/namespaces/velero/backups";
  EXPECT_EQ(Call("GET", backups).code, 404);
  Call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
       {{"metadata", {{"name", "backups.velero.io"}}},
        {"spec",
         {{"group", "velero.io"},
          {"scope", "Namespaced"},
          {"names", {{"plural", "backups"}, {"kind", "Backup"}}},
          {"versions", {{{"name", "v1"}}}}}}});
  EXPECT_EQ(Call("POST", backups, {{"metadata", {{"name", "b1"}}}}).code, 201);
  EXPECT_EQ(Names(Call("GET", backups)), std::vector<std::string>{"b1"});
  EXPECT_EQ(Call("GET", "/apis/velero.io/v1").body["resources"][0]["kind"], "Backup");
}

TEST_F(ApiTest, ApplyCreatesOrMergesFromYaml) {
  const std::string path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/k3saga";
  const auto apply = [&](const std::string& yaml) {
    return api_.Handle({"PATCH", path, {{"fieldManager", "k3saga"}}, "application/apply-patch+yaml", yaml});
  };
  EXPECT_EQ(apply("metadata:\n  labels: {a: \"1\"}\nroleRef: {name: x}\n").code, 201);
  EXPECT_EQ(apply("metadata:\n  labels: {b: \"2\"}\n").code, 200);
  const json stored = Call("GET", path).body;
  EXPECT_EQ(TextAt(stored, {"metadata", "labels", "a"}), "1");
  EXPECT_EQ(TextAt(stored, {"metadata", "labels", "b"}), "2");
}

TEST_F(ApiTest, FinalizersHoldADeletion) {
  Call("POST", "/api/v1/namespaces/default/configmaps",
       {{"metadata", {{"name", "c"}, {"finalizers", {"x"}}}}});
  const std::string path = "/api/v1/namespaces/default/configmaps/c";
  Call("DELETE", path);
  EXPECT_TRUE(IsTerminating(Call("GET", path).body));
  Call("PATCH", path, {{"metadata", {{"finalizers", nullptr}}}}, "application/merge-patch+json");
  EXPECT_EQ(Call("GET", path).code, 404);
}

}  // namespace
}  // namespace k3saga::lab
