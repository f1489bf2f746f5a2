#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/version.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/planner/hops.h"
#include "tests/unit/core/site.h"

namespace k3saga::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Hops, GoOverEveryMinorInBetween) {
  const auto at = [](const char* text) { return Version::Parse(text).value(); };
  EXPECT_THAT(MinorsBetween(at("v1.31.4+k3s1"), at("v1.34.1+k3s1")), ElementsAre(32, 33));
  EXPECT_THAT(MinorsBetween(at("v1.31.4+k3s1"), at("v1.32.0+k3s1")), IsEmpty());
  EXPECT_THAT(MinorsBetween(at("v1.31.4+k3s1"), at("v1.30.0+k3s1")), IsEmpty());
  Site site;
  site.K3s("w2").set_running_version("v1.30.2+k3s1");
  EXPECT_EQ(OldestRunning(site.facts)->ToString(), "v1.30.2+k3s1");
}

TEST(Hops, TroubleOnALaterHopIsKnownBeforeTheFirst) {
  Site site;
  site.At("w1").set_cgroup_version(1);
  KnownTrouble entry;
  entry.from.below = ReleaseBound{1, 34, 0};
  entry.to.at_least = ReleaseBound{1, 34, 0};
  entry.cgroup_version = 1;
  entry.effect = KnownTrouble::Effect::kRefuse;
  entry.says = "no cgroup v1";
  site.request.known_trouble.push_back(entry);
  const auto ahead = TroubleOnTheWay(site.request, site.facts, {kTo, "v1.33.1+k3s1", "v1.34.1+k3s1"});
  ASSERT_EQ(ahead.size(), 1u);
  EXPECT_EQ(ahead[0].subject(), "w1");
  EXPECT_EQ(ahead[0].detail(), "on the hop to v1.34.1+k3s1: no cgroup v1");
}

TEST(Hops, EachIsPlannedFromWhereTheOneBeforeLeads) {
  Site site;
  site.Plan();
  const std::vector<v1::Plan> plans = PlansOfHops(site.request, site.facts, {"v1.32.x", "v1.33.5+k3s1"});
  ASSERT_EQ(plans.size(), 2u);
  EXPECT_EQ(plans[0].to_version(), "v1.32.x");
  EXPECT_EQ(plans[1].from_version(), "v1.32.x");
  EXPECT_TRUE(plans[0].minor_step());
  EXPECT_TRUE(plans[1].minor_step());
  for (const v1::PlannedNode& node : plans[1].nodes()) {
    EXPECT_EQ(node.from_version(), "v1.32.x");
    EXPECT_FALSE(node.at_target());
  }
  EXPECT_EQ(DescribeWaves(plans[0]).size(), DescribeWaves(plans[1]).size());
}

TEST(Hops, TheNextOneKeepsWhatTheUserDecided) {
  v1::Plan done = MakeRollout(2, 1).plan();
  done.add_later_hops("v1.33.1+k3s1");
  const PlanRequest next = NextHop(done);
  EXPECT_EQ(next.release.version(), "v1.33.1+k3s1");
  EXPECT_EQ(next.nodes.size(), 3u);
  EXPECT_TRUE(next.consent_outage);
  EXPECT_EQ(next.policies.servers().settle_seconds(), 15u);
}

TEST(Limits, ArePercentagesRoundedDownButAtLeastOne) {
  v1::Limit limit;
  limit.set_value(10);
  EXPECT_EQ(Resolve(limit, 3), 10u);
  limit.set_percent(true);
  EXPECT_EQ(Resolve(limit, 3), 1u);
  EXPECT_EQ(Resolve(limit, 39), 3u);
  limit.set_value(0);
  EXPECT_EQ(Resolve(limit, 39), 0u);
}

TEST(Waves, SayWhatWillBeDone) {
  v1::Plan plan = MakeRollout(3, 2).plan();
  plan.mutable_nodes(4)->set_at_target(true);
  const std::vector<Wave> waves = DescribeWaves(plan);
  std::vector<std::string> titles;
  for (const Wave& wave : waves) titles.push_back(wave.title);
  EXPECT_THAT(titles, ElementsAre("Stage the release", "Back up the datastore", "Upgrade the servers",
                                  "Upgrade the workers", "Verify"));
  EXPECT_EQ(waves[2].nodes.size(), 3u);
  ASSERT_EQ(waves[3].nodes.size(), 1u);
  EXPECT_THAT(
      waves[3].nodes[0].actions,
      ElementsAre("cordon", "drain", "install v1.32.0+k3s1 over v1.31.4+k3s1", "await Ready", "uncordon"));
}

}  // namespace
}  // namespace k3saga::core
