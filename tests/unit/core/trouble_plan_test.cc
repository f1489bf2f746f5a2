#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/planner.h"
#include "tests/unit/core/site.h"

namespace k3saga::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Which nodes an entry of the table concerns, on the way from v1.31.4 to v1.32.0.
struct Trouble {
  const char* name;
  void (*condition)(KnownTrouble&);
  std::vector<std::string> nodes;
};

const Trouble kTroubles[] = {
    {"NoCondition", [](KnownTrouble&) {}, {"s1", "s2", "s3", "w1", "w2"}},
    {"FromBelowWhatRuns",
     [](KnownTrouble& entry) {
       entry.from.below = ReleaseBound{1, 31, 4};
     },
     {}},
    {"FromBelowTheNextPatch",
     [](KnownTrouble& entry) {
       entry.from.below = ReleaseBound{1, 31, 5};
       entry.role = v1::ROLE_SERVER;
     },
     {"s1", "s2", "s3"}},
    {"FromWhatRunsOn",
     [](KnownTrouble& entry) {
       entry.from.at_least = ReleaseBound{1, 31, 4};
       entry.role = v1::ROLE_WORKER;
     },
     {"w1", "w2"}},
    {"ToALaterMinor",
     [](KnownTrouble& entry) {
       entry.to.at_least = ReleaseBound{1, 33, 0};
     },
     {}},
    {"ToBelowTheTarget",
     [](KnownTrouble& entry) {
       entry.to.below = ReleaseBound{1, 32, 0};
     },
     {}},
    {"MoreServersThanThereAre", [](KnownTrouble& entry) { entry.servers = 4; }, {}},
    {"AnotherDatastore", [](KnownTrouble& entry) { entry.datastore = v1::DATASTORE_SQLITE; }, {}},
    {"Cgroup1", [](KnownTrouble& entry) { entry.cgroup_version = 1; }, {"w2"}},
    {"EtcdOlder", [](KnownTrouble& entry) { entry.etcd_below = "3.5.17"; }, {"s1", "s2", "s3"}},
    {"EtcdNotOlder", [](KnownTrouble& entry) { entry.etcd_below = "3.5.16"; }, {}},
    {"RunsTheComponent",
     [](KnownTrouble& entry) {
       entry.component = "traefik";
       entry.role = v1::ROLE_WORKER;
     },
     {"w1", "w2"}},
    {"LacksTheComponent", [](KnownTrouble& entry) { entry.component = "servicelb"; }, {}},
};

class PlannerKnowsTrouble : public testing::TestWithParam<Trouble> {};

TEST_P(PlannerKnowsTrouble, OfExactlyTheseNodes) {
  Site site;
  site.At("w2").set_cgroup_version(1);
  site.At("s1").add_components()->set_name("traefik");
  KnownTrouble entry;
  entry.id = "the entry";
  entry.says = "it hurts";
  GetParam().condition(entry);
  site.request.known_trouble.push_back(entry);
  const PlanOutcome outcome = site.Plan();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan);
  std::vector<std::string> subjects;
  for (const v1::Reason& notice : outcome.plan.notices()) {
    if (notice.code() == v1::KNOWN_TROUBLE) subjects.push_back(notice.subject());
  }
  std::string expected;
  for (size_t i = 0; i < GetParam().nodes.size() && i < 3; ++i)
    expected += (i == 0 ? "" : ", ") + GetParam().nodes[i];
  if (GetParam().nodes.size() > 3) expected += " and 2 more";
  EXPECT_EQ(subjects, expected.empty() ? std::vector<std::string>() : std::vector<std::string>{expected});
}

INSTANTIATE_TEST_SUITE_P(Table, PlannerKnowsTrouble, testing::ValuesIn(kTroubles),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(Planner, ARemedyIsPartOfThePlanAndSaid) {
  Site site;
  KnownTrouble entry;
  entry.effect = KnownTrouble::Effect::kRemedy;
  entry.says = "it hurts";
  entry.remedy.set_trouble("the entry");
  entry.remedy.add_manifests("{}");
  entry.remedy.add_objects("clusterrole/balm");
  site.request.known_trouble.push_back(entry);
  const PlanOutcome outcome = site.Plan();
  ASSERT_EQ(outcome.plan.remedies_size(), 1);
  EXPECT_EQ(outcome.plan.remedies(0).trouble(), "the entry");
  EXPECT_NE(outcome.plan.notices(0).remedy().find("clusterrole/balm"), std::string::npos);
  EXPECT_EQ(DescribeWaves(outcome.plan)[2].title, "Apply what this step needs");
}

v1::DeprecatedApi& AddDeprecated(v1::NodeFacts& server, const char* removed) {
  v1::DeprecatedApi& api = *server.add_deprecated_apis();
  api.set_group("policy");
  api.set_version("v1beta1");
  api.set_resource("poddisruptionbudgets");
  api.set_removed_release(removed);
  return api;
}

std::vector<std::string> NoticesOf(Site& site, v1::ReasonCode code) {
  std::vector<std::string> said;
  const PlanOutcome outcome = site.Plan();
  for (const v1::Reason& notice : outcome.plan.notices()) {
    if (notice.code() == code) said.push_back(notice.subject() + ": " + notice.detail());
  }
  return said;
}

TEST(Planner, CallersOfApisThatTheTargetRemovesAreNamedOnce) {
  Site site;  // to v1.32
  AddDeprecated(site.At("s1"), "1.32").add_objects("shop/web (by helm)");
  AddDeprecated(site.At("s2"), "1.32").add_objects("shop/db (by helm)");
  EXPECT_THAT(
      NoticesOf(site, v1::DEPRECATED_API),
      ElementsAre("policy/v1beta1 poddisruptionbudgets: somebody calls this API; v1.32 removes it; written "
                  "through it: shop/db (by helm), shop/web (by helm)"));
}

TEST(Planner, ApisThatALaterReleaseRemovesAreNoMatterYet) {
  Site site;
  AddDeprecated(site.At("s1"), "1.33");
  AddDeprecated(site.At("s2"), "soon");
  EXPECT_THAT(NoticesOf(site, v1::DEPRECATED_API), IsEmpty());
}

TEST(Planner, ComponentsThatJumpOrAreNotReadyAreNamed) {
  Site site;
  for (const char* image :
       {"rancher/mirrored-library-traefik:2.11.18", "rancher/mirrored-coredns-coredns:1.12.0",
        "docker.io/rancher/mirrored-metrics-server:v0.7.2"}) {
    v1::PackagedComponent& component = *site.At("s1").add_components();
    component.set_kind("Deployment");
    component.set_name(image);
    component.set_ready(true);
    component.add_images(image);
  }
  site.At("s1").mutable_components(1)->set_name("coredns");
  site.At("s1").mutable_components(1)->set_ready(false);
  site.At("s1").mutable_components(1)->set_detail("0 of 1 available");
  site.request.target_images = {"docker.io/rancher/mirrored-library-traefik:3.3.2",
                                "docker.io/rancher/mirrored-coredns-coredns:1.13.1",
                                "docker.io/rancher/mirrored-metrics-server:v0.8.0"};
  EXPECT_THAT(NoticesOf(site, v1::COMPONENT_JUMPS),
              ElementsAre("traefik: the packaged component goes from 2.11.18 to 3.3.2",
                          "metrics-server: the packaged component goes from v0.7.2 to v0.8.0"));
  EXPECT_THAT(NoticesOf(site, v1::COMPONENT_NOT_READY),
              ElementsAre("Deployment coredns: this packaged component is not ready: 0 of 1 available"));
}

}  // namespace
}  // namespace k3saga::core
