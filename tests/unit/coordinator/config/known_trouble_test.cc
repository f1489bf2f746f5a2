#include "coordinator/config/known_trouble.h"

#include <nlohmann/json.hpp>

#include "tests/unit/common/temp_dir.h"

namespace k3saga::config {
namespace {

using core::KnownTrouble;
using testing::HasSubstr;

const KnownTrouble* Find(const std::vector<KnownTrouble>& table, const std::string& id) {
  for (const KnownTrouble& entry : table) {
    if (entry.id == id) return &entry;
  }
  return nullptr;
}

Version At(const char* text) { return Version::Parse(text).value(); }

TEST(KnownTrouble, TheBuiltInTableIsGood) {
  const auto table = LoadKnownTrouble("");
  ASSERT_TRUE(table.ok()) << table.status();
  const KnownTrouble* role = Find(*table, "renamed-cloud-controller-role");
  ASSERT_NE(role, nullptr);
  EXPECT_TRUE(role->from.Contains(At("v1.20.8+k3s1")));
  EXPECT_FALSE(role->from.Contains(At("v1.21.0-rc1+k3s1")));
  EXPECT_TRUE(role->to.Contains(At("v1.21.2+k3s1")));
  EXPECT_FALSE(role->to.Contains(At("v1.22.0+k3s1")));
  ASSERT_EQ(role->remedy.manifests_size(), 2);
  EXPECT_EQ(role->remedy.objects(0), "clusterrole/k3saga-mixed-cloud-controller-manager");
  const auto binding = nlohmann::json::parse(role->remedy.manifests(1));
  EXPECT_EQ(binding["subjects"].size(), 2u);
  EXPECT_EQ(binding["roleRef"]["name"], nlohmann::json::parse(role->remedy.manifests(0))["metadata"]["name"]);
  for (const char* id : {"etcd-3.6", "cgroup-v1"}) {
    ASSERT_NE(Find(*table, id), nullptr) << id;
    EXPECT_EQ(Find(*table, id)->effect, KnownTrouble::Effect::kRefuse) << id;
  }
}

TEST(KnownTrouble, AUsersFolderAddsAndReplaces) {
  const TempDir folder;
  folder.Write("mine.yaml", R"(known_trouble:
- id: etcd-3.6
  effect: warn
  says: we tried it
  source: us
- id: ours
  from: {at_least: v1.31, below: v1.31.5}
  effect: remedy
  says: it hurts
  source: us
  manifests:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: balm, namespace: kube-system}, data: {on: "true", n: "5"}}
)");
  folder.Write("README", "not a table");
  const auto table = LoadKnownTrouble(folder.path());
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(Find(*table, "etcd-3.6")->effect, KnownTrouble::Effect::kWarn);
  const KnownTrouble* ours = Find(*table, "ours");
  ASSERT_NE(ours, nullptr);
  EXPECT_EQ(ours->remedy.objects(0), "configmap/balm -n kube-system");
  // Quoted is text, whatever it looks like.
  EXPECT_EQ(nlohmann::json::parse(ours->remedy.manifests(0))["data"]["n"], "5");
}

TEST(KnownTrouble, AMissingFolderIsSaid) {
  EXPECT_TRUE(absl::IsNotFound(LoadKnownTrouble("/nowhere/at/all").status()));
}

TEST(KnownTrouble, EveryMistakeIsSaidWithItsLine) {
  const auto table = ParseKnownTrouble(R"(known_trouble:
- id: a
  from: {below: "1.21"}
  effect: remedy
  says: it hurts
  source: us
- id: a
  efect: warn
  says: it hurts
  source: us
- id: c
  effect: remedy
  says: it hurts
  source: us
  manifests: [{kind: ConfigMap}]
)",
                                       "t.yaml");
  ASSERT_FALSE(table.ok());
  const std::string said(table.status().message());
  EXPECT_THAT(said, HasSubstr("t.yaml:3:17: known_trouble[0].from.below: expected a release such as v1.21"));
  EXPECT_THAT(said, HasSubstr("t.yaml:2:3: known_trouble[0].manifests: expected a list"));
  EXPECT_THAT(said, HasSubstr("t.yaml:8:3: known_trouble[1].efect: unknown key; did you mean \"effect\"?"));
  EXPECT_THAT(said, HasSubstr("known_trouble[1].id: \"a\" is already another entry's"));
  EXPECT_THAT(said, HasSubstr("entry 1: expected apiVersion, kind and metadata.name"));
}

}  // namespace
}  // namespace k3saga::config
