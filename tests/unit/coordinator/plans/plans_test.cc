#include "coordinator/plans/plans.h"

#include <yaml-cpp/yaml.h>

namespace k3saga::plans {
namespace {

config::ClusterFile File(const std::string& more) {
  auto file = config::ParseClusterFile(absl::StrCat(R"(name: shop-12
identity: {ca: a, certificate: b, key: c}
nodes:
- {name: s1, role: server, agent: 10.0.0.11}
- {name: w1, role: worker, agent: 10.0.0.21}
- {name: w2, role: worker, agent: 10.0.0.22}
- {name: w3, role: worker, agent: 10.0.0.23}
- {name: w4, role: worker, agent: 10.0.0.24}
)",
                                                    more),
                                       "cluster.yaml", [](const std::string&) { return true; });
  EXPECT_TRUE(file.ok()) << file.status();
  return *file;
}

constexpr char kEnabled[] = "system_upgrade_controller: {enabled: true}\n";

TEST(RenderPlans, WritesWhatThePoliciesSay) {
  auto text = RenderPlans(File(absl::StrCat(kEnabled, R"(policies:
  workers:
    max_unavailable: 50%
    canary: 0
    drain: {enabled: true, timeout: 2m, grace_period: 30s, delete_empty_dir_data: true, pod_selector: "app=web"}
)")),
                          "v1.32.0+k3s1");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->substr(text->find("---")), R"(---
apiVersion: upgrade.cattle.io/v1
kind: Plan
metadata:
  name: k3s-server
  namespace: system-upgrade
spec:
  concurrency: 1
  nodeSelector:
    matchExpressions:
      - key: node-role.kubernetes.io/control-plane
        operator: In
        values: ["true"]
  serviceAccountName: system-upgrade
  version: v1.32.0+k3s1
  cordon: true
  upgrade:
    image: rancher/k3s-upgrade
---
apiVersion: upgrade.cattle.io/v1
kind: Plan
metadata:
  name: k3s-agent
  namespace: system-upgrade
spec:
  concurrency: 2
  nodeSelector:
    matchExpressions:
      - key: node-role.kubernetes.io/control-plane
        operator: DoesNotExist
  serviceAccountName: system-upgrade
  version: v1.32.0+k3s1
  prepare:
    image: rancher/k3s-upgrade
    args:
      - prepare
      - k3s-server
  cordon: true
  drain:
    timeout: 120s
    gracePeriod: 30
    deleteEmptydirData: true
    ignoreDaemonSets: true
    force: false
    podSelector:
      matchExpressions:
        - key: app
          operator: In
          values: ["web"]
  upgrade:
    image: rancher/k3s-upgrade
)");
}

TEST(RenderPlans, IsTwoDocumentsWithTheCaveatsInFront) {
  auto text = RenderPlans(
      File("system_upgrade_controller: {enabled: true, channel: https://c.example/stable}\n"), "");
  ASSERT_TRUE(text.ok()) << text.status();
  std::vector<YAML::Node> documents = YAML::LoadAll(*text);
  ASSERT_EQ(documents.size(), 2u);
  for (const YAML::Node& document : documents) {
    EXPECT_EQ(document["spec"]["channel"].as<std::string>(), "https://c.example/stable");
    EXPECT_FALSE(document["spec"]["version"].IsDefined());
  }
  EXPECT_THAT(*text, testing::StartsWith("# Plans for system-upgrade-controller"));
  EXPECT_THAT(*text, testing::HasSubstr("# - They take no backup"));
  EXPECT_THAT(*text, testing::HasSubstr("# - Canary workers have no counterpart"));
}

TEST(RenderPlans, TheCommandLinesVersionGoesFirst) {
  auto text = RenderPlans(File("system_upgrade_controller: {enabled: true, version: v1.31.0+k3s1}\n"),
                          "v1.32.0+k3s1");
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(*text, testing::Not(testing::HasSubstr("v1.31.0")));
}

TEST(RenderPlans, RefusesWhatWouldBeWrong) {
  EXPECT_EQ(RenderPlans(File(""), "v1.32.0+k3s1").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(RenderPlans(File(kEnabled), "").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RenderPlans(File(kEnabled), "1.32").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RenderPlans(File(absl::StrCat(kEnabled, "policies: {workers: {drain: {pod_selector: 'a;b'}}}\n")),
                        "v1.32.0+k3s1")
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace k3saga::plans
