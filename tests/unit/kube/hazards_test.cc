#include "agent/kube/components.h"
#include "agent/kube/deprecated.h"

namespace k3saga::kube {
namespace {

using testing::ElementsAre;

Json Parse(const char* text) { return Json::parse(text); }

TEST(Deprecated, EachResourceOnceWhateverItsSubresources) {
  const auto apis = DeprecatedIn(
      "# TYPE apiserver_requested_deprecated_apis gauge\n"
      "apiserver_requested_deprecated_apis{group=\"policy\",removed_release=\"1.25\","
      "resource=\"poddisruptionbudgets\",subresource=\"\",version=\"v1beta1\"} 1\n"
      "apiserver_requested_deprecated_apis{group=\"policy\",removed_release=\"1.25\","
      "resource=\"poddisruptionbudgets\",subresource=\"status\",version=\"v1beta1\"} 1\n"
      "apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"componentstatuses\","
      "subresource=\"\",version=\"v1\"} 1\n"
      "other_metric{a=\"apiserver_requested_deprecated_apis{\"} 1\n"
      "apiserver_requested_deprecated_apis{group=\"batch\",removed_release=\"1.2");
  ASSERT_EQ(apis.size(), 1u);
  EXPECT_EQ(PathOf(apis[0]), "/apis/policy/v1beta1/poddisruptionbudgets");
  EXPECT_EQ(apis[0].removed_release(), "1.25");
}

TEST(Deprecated, NamesObjectsAndWhoWroteThem) {
  v1::DeprecatedApi api;
  api.set_group("policy");
  api.set_version("v1beta1");
  const Json objects = Parse(R"([
    {"metadata":{"namespace":"shop","name":"web","managedFields":[
      {"manager":"helm","apiVersion":"policy/v1beta1"},{"manager":"k3s","apiVersion":"policy/v1"}]}},
    {"metadata":{"namespace":"shop","name":"new","managedFields":[{"manager":"helm","apiVersion":"policy/v1"}]}},
    {"metadata":{"name":"wide","managedFields":[{"manager":"kubectl","apiVersion":"policy/v1beta1"}]}}])");
  EXPECT_THAT(WrittenThrough(api, objects.get<Json::array_t>(), 5),
              ElementsAre("shop/web (by helm)", "wide (by kubectl)"));
  EXPECT_THAT(WrittenThrough(api, objects.get<Json::array_t>(), 1), ElementsAre("shop/web (by helm)"));
}

TEST(Components, OnlyWhatK3sBroughtIsPackaged) {
  EXPECT_TRUE(
      IsPackaged(Parse(R"({"metadata":{"annotations":{"objectset.rio.cattle.io/owner-name":"coredns"}}})")));
  EXPECT_TRUE(IsPackaged(Parse(R"({"metadata":{"labels":{"app.kubernetes.io/managed-by":"Helm"}}})")));
  EXPECT_TRUE(IsPackaged(Parse(R"({"metadata":{"labels":{"helmcharts.helm.cattle.io/chart":"traefik"}}})")));
  EXPECT_FALSE(IsPackaged(Parse(R"({"metadata":{"labels":{"app":"ours"}}})")));
}

TEST(Components, ADeploymentIsWellWhenItsNewPodsAre) {
  Json object = Parse(R"({"metadata":{"name":"coredns","generation":2},
    "spec":{"replicas":1,"template":{"spec":{"containers":[{"image":"rancher/mirrored-coredns-coredns:1.12.0"}]}}},
    "status":{"observedGeneration":2,"updatedReplicas":1,"availableReplicas":1}})");
  EXPECT_TRUE(DeploymentOf(object).ready());
  EXPECT_THAT(DeploymentOf(object).images(), ElementsAre("rancher/mirrored-coredns-coredns:1.12.0"));
  EXPECT_EQ(TroubleOf(DeploymentOf(object)).code(), v1::REASON_UNSPECIFIED);
  object["status"]["availableReplicas"] = 0;
  const v1::Reason trouble = TroubleOf(DeploymentOf(object));
  EXPECT_EQ(trouble.code(), v1::COMPONENT_NOT_READY);
  EXPECT_EQ(trouble.subject(), "Deployment coredns");
  EXPECT_EQ(trouble.detail(), "0 of 1 available, 1 up to date");
  object["status"]["observedGeneration"] = 1;
  EXPECT_EQ(DeploymentOf(object).detail(), "its change was not taken up yet");
}

TEST(Components, AHelmJobIsInTroubleOnceItFailed) {
  Json object = Parse(R"({"metadata":{"name":"helm-install-traefik"},"status":{"active":1}})");
  EXPECT_EQ(TroubleOf(HelmJobOf(object)).code(), v1::REASON_UNSPECIFIED);  // under way
  object["status"]["failed"] = 2;
  EXPECT_EQ(TroubleOf(HelmJobOf(object)).detail(), "failed 2 times");
  object["status"]["succeeded"] = 1;
  EXPECT_EQ(TroubleOf(HelmJobOf(object)).code(), v1::REASON_UNSPECIFIED);
}

}  // namespace
}  // namespace k3saga::kube
