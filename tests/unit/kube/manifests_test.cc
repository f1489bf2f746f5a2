#include "agent/kube/manifests.h"

#include "agent/kube/kube.h"
#include "common/reason.h"
#include "tests/support/fake_kubernetes.h"

namespace k3saga::kube {
namespace {

using testing::FakeKubernetes;
using testing::FakeTime;
using ::testing::HasSubstr;

constexpr char kApi[] = "/apis/rbac.authorization.k8s.io/v1";
constexpr char kRole[] = "/apis/rbac.authorization.k8s.io/v1/clusterroles/k3saga-mixed";
constexpr char kBinding[] = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings/b";
constexpr char kManifest[] =
    R"({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "k3saga-mixed", "annotations": {"why": "mixed versions"}},
        "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]})";

class ManifestsTest : public ::testing::Test {
 protected:
  ManifestsTest() {
    api_.AddKind(kApi, "clusterroles", "ClusterRole", false);
    api_.AddKind(kApi, "rolebindings", "RoleBinding", true);
  }
  absl::Status Apply(const std::string& manifest, const std::string& rollout = "r1") {
    return kube_->ApplyManifest(manifest, rollout, {std::chrono::seconds(30), {}});
  }
  absl::Status Remove(const std::string& rollout = "r1") {
    return kube_->RemoveManifest(kManifest, rollout, {std::chrono::seconds(30), {}});
  }

  FakeTime time_;
  FakeKubernetes api_{time_};
  std::unique_ptr<Kube> kube_ = MakeKube([this] { return api_.KubeconfigPath(); }, time_, time_);
};

TEST_F(ManifestsTest, MarksWhatItBringsAndTakesItOutAgain) {
  ASSERT_TRUE(Apply(kManifest).ok());
  const Json role = api_.Object(kRole);
  EXPECT_EQ(TextAt(role, {"metadata", "annotations", kRolloutAnnotation}), "r1");
  EXPECT_EQ(TextAt(role, {"metadata", "annotations", "why"}), "mixed versions");
  EXPECT_EQ(role["rules"].size(), 1u);
  EXPECT_TRUE(Apply(kManifest).ok()) << "the same again";
  EXPECT_TRUE(Remove().ok());
  EXPECT_TRUE(api_.Object(kRole).is_null());
  EXPECT_TRUE(Remove().ok()) << "gone already";
}

TEST_F(ManifestsTest, SomebodyElsesObjectStays) {
  api_.PutObject(kRole, {{"metadata", {{"name", "k3saga-mixed"}, {"uid", "theirs"}}}});
  const v1::Reason reason = ReasonOf(Apply(kManifest));
  EXPECT_EQ(reason.code(), v1::REMEDY_FAILED);
  EXPECT_EQ(reason.subject(), "ClusterRole k3saga-mixed");
  EXPECT_THAT(reason.detail(), HasSubstr("left alone"));
  EXPECT_TRUE(Remove().ok());
  EXPECT_EQ(TextAt(api_.Object(kRole), {"metadata", "uid"}), "theirs");
}

TEST_F(ManifestsTest, WhatAnEarlierRolloutLeftIsThisOnes) {
  ASSERT_TRUE(Apply(kManifest, "r0").ok());
  EXPECT_TRUE(Remove("r1").ok());
  EXPECT_FALSE(api_.Object(kRole).is_null()) << "not r1's";
  ASSERT_TRUE(Apply(kManifest, "r1").ok());
  EXPECT_TRUE(Remove("r1").ok());
  EXPECT_TRUE(api_.Object(kRole).is_null());
}

TEST_F(ManifestsTest, AnswersThatAreLostDoNoHarm) {
  api_.Fail(kApi, 503, 2);
  EXPECT_TRUE(Apply(kManifest).ok());
  api_.Fail(kRole, 503, 2);
  EXPECT_TRUE(Remove().ok());
}

TEST_F(ManifestsTest, NamespacedKindsGoIntoTheirNamespace) {
  ASSERT_TRUE(Apply(R"({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                        "metadata": {"name": "b", "namespace": "kube-system"}})")
                  .ok());
  EXPECT_FALSE(api_.Object(kBinding).is_null());
}

TEST_F(ManifestsTest, WhatIsNoObjectOfThisClusterIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"not json", "no object"},
      {R"({"kind": "ClusterRole", "metadata": {"name": "x"}})", "no object"},
      {R"({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Nothing", "metadata": {"name": "x"}})",
       "no such kind"},
      {R"({"apiVersion": "gone.example/v1", "kind": "X", "metadata": {"name": "x"}})",
       "no API gone.example/v1"},
  };
  for (const auto& [manifest, detail] : cases) {
    const v1::Reason reason = ReasonOf(Apply(manifest));
    EXPECT_EQ(reason.code(), v1::REMEDY_FAILED) << manifest;
    EXPECT_THAT(reason.detail(), HasSubstr(detail));
  }
}

}  // namespace
}  // namespace k3saga::kube
