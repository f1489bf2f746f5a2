#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/reason.h"
#include "coordinator/core/planner.h"
#include "tests/unit/core/site.h"

namespace k3saga::core {
namespace {

using testing::Contains;
using testing::ElementsAre;

TEST(Planner, PlansAHealthyCluster) {
  Site site;
  const PlanOutcome outcome = site.Plan();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan) << Describe(outcome.refusals.front());
  const v1::Plan& plan = outcome.plan;
  EXPECT_EQ(plan.from_version(), kFrom);
  EXPECT_TRUE(plan.minor_step());
  EXPECT_EQ(plan.nodes_size(), 5);
  EXPECT_EQ(plan.nodes(0).name(), "s1");
  EXPECT_EQ(plan.nodes(0).member_id(), 1u);
  EXPECT_TRUE(plan.nodes(4).was_available());
  EXPECT_EQ(plan.nodes(4).architecture(), "amd64");
  EXPECT_EQ(plan.members_size(), 3);
  EXPECT_EQ(plan.datastore(), v1::DATASTORE_EMBEDDED_ETCD);
  EXPECT_FALSE(plan.consent_outage());
  EXPECT_EQ(plan.notices_size(), 0);
}

TEST(Planner, ServersComeFirstWhateverTheFilesOrder) {
  Site site;
  std::reverse(site.request.nodes.begin(), site.request.nodes.end());
  const PlanOutcome outcome = site.Plan();
  EXPECT_EQ(outcome.plan.nodes(0).name(), "s3");
  EXPECT_EQ(outcome.plan.nodes(3).name(), "w2");
}

TEST(Planner, ConfigurationThatStaysUnreadIsNoMatter) {
  Site site;
  v1::Setting* setting = site.K3s("w1").add_settings();
  setting->set_key("since v1.33: disable");
  setting->set_value("traefik");
  EXPECT_EQ(site.Plan().kind, PlanOutcome::Kind::kPlan);
}

TEST(Planner, NothingToDo) {
  Site site;
  for (v1::NodeFacts& node : site.facts) {
    node.mutable_k3s()->set_running_version(kTo);
    node.mutable_k3s()->set_binary_version(kTo);
  }
  EXPECT_EQ(site.Plan().kind, PlanOutcome::Kind::kNothingToDo);
}

TEST(Planner, HalfUpgradedNodeIsNotAtTheTarget) {
  Site site;
  site.K3s("w1").set_binary_version(kTo);  // placed, never restarted
  site.K3s("s1").set_running_version(kTo);
  site.K3s("s1").set_binary_version(kTo);
  const PlanOutcome outcome = site.Plan();
  EXPECT_TRUE(outcome.plan.nodes(0).at_target());
  EXPECT_FALSE(outcome.plan.nodes(3).at_target());
}

TEST(Planner, StoppedServerIsUpgradedAndStarted) {
  Site site;
  site.K3s("s2").clear_running_version();
  site.At("s2").clear_etcd();
  site.At("s2").mutable_etcd()->set_error("connection refused");
  const PlanOutcome outcome = site.Plan();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan) << Describe(outcome.refusals.front());
  EXPECT_FALSE(outcome.plan.nodes(1).was_available());
  EXPECT_EQ(outcome.plan.nodes(1).member_id(), 2u);  // known by its name
  EXPECT_EQ(outcome.plan.notices_size(), 1);
}

TEST(Planner, CordonsAreToldApart) {
  Site site;
  site.Plan();
  site.Everywhere([](v1::NodeFacts& server) {
    server.mutable_nodes(3)->set_unschedulable(true);
    server.mutable_nodes(4)->set_unschedulable(true);
    server.mutable_nodes(4)->set_cordoned_by("20251231-000000-0000");
  });
  const PlanOutcome outcome = site.Plan();
  EXPECT_TRUE(outcome.plan.nodes(3).was_cordoned());
  EXPECT_FALSE(outcome.plan.nodes(4).was_cordoned());
  EXPECT_TRUE(outcome.plan.nodes(4).left_cordoned());
}

TEST(Planner, ChangedConfigurationMayBeAgreedTo) {
  Site site;
  v1::Setting* setting = site.K3s("w1").add_settings();
  setting->set_key("since v1.32: disable");
  setting->set_source("/etc/rancher/k3s/config.yaml.d/10.yaml");
  site.request.release.set_allow_changed_configuration(true);
  const PlanOutcome outcome = site.Plan();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan) << Describe(outcome.refusals.at(0));
  EXPECT_TRUE(outcome.plan.release().allow_changed_configuration());
  ASSERT_EQ(outcome.plan.notices_size(), 1);
  EXPECT_EQ(outcome.plan.notices(0).code(), v1::CONFIGURATION_WOULD_CHANGE);
}

TEST(Planner, ConsentIsPartOfThePlan) {
  Site site;
  site.request.nodes.erase(site.request.nodes.begin() + 1, site.request.nodes.begin() + 3);
  site.facts.erase(site.facts.begin() + 1, site.facts.begin() + 3);
  EXPECT_THAT(site.Refusals(), ElementsAre(v1::CONSENT_MISSING));
  site.request.consent_outage = true;
  const PlanOutcome outcome = site.Plan();
  EXPECT_EQ(outcome.kind, PlanOutcome::Kind::kPlan);
  EXPECT_TRUE(outcome.plan.consent_outage());
}

struct Refusal {
  const char* name;
  v1::ReasonCode code;
  void (*spoil)(Site&);
};

// Each spoils one thing, and is refused for exactly that.
const Refusal kRefusals[] = {
    {"NothingToFetch", v1::DOWNLOAD_FAILED,
     [](Site& site) {
       site.request.release_missing = {
           MakeReason(v1::DOWNLOAD_FAILED, kTo, "https://mirror: refused", "look there")};
     }},
    {"ConfigurationThatBeginsToCount", v1::CONFIGURATION_WOULD_CHANGE,
     [](Site& site) {
       v1::Setting* setting = site.K3s("w1").add_settings();
       setting->set_key("since v1.32: disable");
       setting->set_value("traefik");
       setting->set_source("/etc/rancher/k3s/config.yaml.d/10.yaml");
     }},
    {"Downgrade", v1::DOWNGRADE, [](Site& site) { site.request.release.set_version("v1.31.3+k3s1"); }},
    {"SkippedMinor", v1::SKIPPED_MINOR, [](Site& site) { site.request.release.set_version("v1.33.1+k3s1"); }},
    {"NoVersion", v1::RELEASE_UNAVAILABLE, [](Site& site) { site.request.release.set_version("1.32"); }},
    {"WorkerAhead", v1::WORKER_NEWER_THAN_SERVERS,
     [](Site& site) { site.K3s("w1").set_running_version("v1.31.5+k3s1"); }},
    {"Unreachable", v1::NODE_UNREACHABLE,
     [](Site& site) {
       site.facts.pop_back();
       site.Everywhere([](v1::NodeFacts& server) {
         for (const char* name : {"s1", "s2", "s3", "w1", "w2"}) {
           server.add_nodes()->set_name(name);
           server.mutable_nodes(server.nodes_size() - 1)->set_ready(true);
         }
       });
     }},
    {"UnreachableWithReason", v1::NODE_UNREACHABLE,
     [](Site& site) {
       v1::NodeFacts& facts = site.At("w2");
       facts.Clear();
       facts.set_name("w2");
       *facts.add_problems() = MakeReason(v1::NODE_UNREACHABLE, "w2", "connection refused");
     }},
    {"OldAgent", v1::AGENT_VERSION_UNSUPPORTED, [](Site& site) { site.At("w1").set_protocol(0); }},
    {"Rke2", v1::DISTRIBUTION_UNSUPPORTED, [](Site& site) { site.K3s("w1").set_distribution("rke2"); }},
    {"NoK3s", v1::NODE_LAYOUT_UNSUPPORTED, [](Site& site) { site.K3s("w1").set_distribution(""); }},
    {"Rancher", v1::RANCHER_MANAGED, [](Site& site) { site.K3s("s1").set_rancher_managed(true); }},
    {"SecretsRotation", v1::SECRETS_ENCRYPTION_ROTATING,
     [](Site& site) { site.K3s("s1").set_secrets_encryption_rotating(true); }},
    {"RoleMismatch", v1::ROLE_MISMATCH, [](Site& site) { site.request.nodes[4].role = v1::ROLE_SERVER; }},
    {"EmptyServer", v1::NODE_LAYOUT_UNSUPPORTED,
     [](Site& site) {
       site.K3s("s3").set_runs_etcd(false);
       site.K3s("s3").set_runs_apiserver(false);
     }},
    {"Disk", v1::DISK_SPACE, [](Site& site) { site.K3s("w1").set_free_bytes(1 << 20); }},
    {"OtherCluster", v1::DIFFERENT_CLUSTER, [](Site& site) { site.K3s("w2").set_cluster_id("xyz"); }},
    {"NodeNotInFile", v1::NODE_MISSING_FROM_FILE, [](Site& site) { site.request.nodes.pop_back(); }},
    {"NodeNotInCluster", v1::NODE_UNKNOWN_TO_CLUSTER,
     [](Site& site) {
       site.Plan();
       site.Everywhere([](v1::NodeFacts& server) { server.mutable_nodes()->RemoveLast(); });
     }},
    {"NoApi", v1::NO_HEALTHY_SERVER, [](Site& site) { site.api = false; }},
    {"StrangeMember", v1::MEMBER_WITHOUT_NODE,
     [](Site& site) {
       site.Plan();
       site.Everywhere([](v1::NodeFacts& server) {
         v1::EtcdMember& gone = *server.mutable_etcd()->add_members();
         gone.set_id(9);
         gone.set_name("s9-77aa");
       });
     }},
    {"ServerWithoutMember", v1::NODE_WITHOUT_MEMBER,
     [](Site& site) {
       site.Plan();
       site.Everywhere([](v1::NodeFacts& server) { server.mutable_etcd()->mutable_members()->RemoveLast(); });
       site.At("s3").mutable_etcd()->Clear();
       site.request.consent_outage = true;  // two members are left
     }},
    {"Learner", v1::MEMBER_LEARNER,
     [](Site& site) {
       site.Plan();
       site.Everywhere(
           [](v1::NodeFacts& server) { server.mutable_etcd()->mutable_members(2)->set_learner(true); });
     }},
    {"Alarm", v1::MEMBER_ALARM,
     [](Site& site) {
       site.Everywhere([](v1::NodeFacts& server) { server.mutable_etcd()->add_alarms("NOSPACE@3"); });
     }},
    {"NoQuorum", v1::QUORUM_WOULD_BE_LOST,
     [](Site& site) {
       site.Everywhere([](v1::NodeFacts& server) { server.mutable_etcd()->set_linearizable_read(false); });
     }},
    {"DifferentMembers", v1::MEMBERSHIP_CHANGED,
     [](Site& site) {
       site.Plan();
       site.At("s3").mutable_etcd()->mutable_members()->RemoveLast();
     }},
    {"Held", v1::CLUSTER_HELD,
     [](Site& site) {
       for (v1::NodeFacts& node : site.facts) {
         node.mutable_claim()->set_rollout("20260101-000000-aaaa");
         node.mutable_claim()->set_holder("bob@desk:1");
         node.mutable_claim()->set_active(true);
       }
     }},
    {"ExternalWithoutBackup", v1::BACKUP_MISSING,
     [](Site& site) {
       site.Everywhere([](v1::NodeFacts& server) {
         server.clear_etcd();
         server.mutable_k3s()->set_datastore(v1::DATASTORE_EXTERNAL);
         server.mutable_k3s()->set_runs_etcd(false);
       });
     }},
    {"Budget", v1::BUDGET_NEVER_ALLOWS,
     [](Site& site) {
       v1::DrainObstacle& obstacle = *site.At("s1").add_obstacles();
       obstacle.set_node("w1");
       *obstacle.mutable_reason() =
           MakeReason(v1::BUDGET_NEVER_ALLOWS, "w1", "default/db allows no eviction");
     }},
    {"NoServers", v1::NODE_LAYOUT_UNSUPPORTED,
     [](Site& site) {
       site.request.nodes.erase(site.request.nodes.begin(), site.request.nodes.begin() + 3);
     }},
    {"Etcd36TooEarly", v1::KNOWN_TROUBLE,
     [](Site& site) {
       for (v1::NodeFacts& node : site.facts) node.mutable_k3s()->set_running_version("v1.33.1+k3s1");
       for (v1::NodeFacts& node : site.facts) node.mutable_k3s()->set_binary_version("v1.33.1+k3s1");
       site.request.release.set_version("v1.34.2+k3s1");
       KnownTrouble entry;
       entry.to.at_least = ReleaseBound{1, 34, 0};
       entry.etcd_below = "3.5.26";
       entry.effect = KnownTrouble::Effect::kRefuse;
       entry.says = "etcd 3.6 must not follow this one";
       entry.advice = "upgrade to the last patch first";
       site.request.known_trouble.push_back(entry);
     }},
};

class PlannerRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(PlannerRefuses, ForExactlyThat) {
  Site site;
  GetParam().spoil(site);
  EXPECT_THAT(site.Refusals(), testing::AllOf(Contains(GetParam().code), testing::Each(GetParam().code)));
  EXPECT_EQ(site.Plan().kind, PlanOutcome::Kind::kRefused);
}

INSTANTIATE_TEST_SUITE_P(Table, PlannerRefuses, testing::ValuesIn(kRefusals),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(Planner, ObstaclesAreOnlyNoticedWhenThePolicyForces) {
  Site site;
  v1::DrainObstacle& obstacle = *site.At("s1").add_obstacles();
  obstacle.set_node("w1");
  *obstacle.mutable_reason() = MakeReason(v1::BUDGET_NEVER_ALLOWS, "w1", "default/db allows no eviction");
  site.request.policies.mutable_workers()->mutable_drain()->set_on_timeout(v1::DrainPolicy::FORCE);
  const PlanOutcome outcome = site.Plan();
  EXPECT_EQ(outcome.kind, PlanOutcome::Kind::kPlan);
  EXPECT_EQ(outcome.plan.notices_size(), 1);
}

// Whoever reads it at night finds the member by it.
TEST(Members, AreNamedWithWhatIsWrong) {
  Site site;
  site.Plan();
  site.Everywhere([](v1::NodeFacts& server) {
    server.mutable_etcd()->add_alarms("NOSPACE@3");
    v1::EtcdMember& left_over = *server.mutable_etcd()->add_members();
    left_over.set_id(0x1f);
    left_over.set_learner(true);
    left_over.add_peer_urls("https://10.0.0.9:2380");
  });
  std::vector<std::string> said;
  for (const v1::Reason& refusal : site.Plan().refusals)
    said.push_back(absl::StrCat(refusal.subject(), ": ", refusal.detail()));
  EXPECT_THAT(said,
              ElementsAre("member 1f: etcd lists this member (id 1f, https://10.0.0.9:2380), but no server "
                          "in cluster.yaml runs it",
                          "member 1f: this etcd member (id 1f, https://10.0.0.9:2380) is a learner, left "
                          "over from a join",
                          "s3: its etcd member raises the alarm NOSPACE: its database is full, and etcd "
                          "takes no writes"));
}

TEST(Members, OfAServerThatDoesNotAnswerAreNoStrangers) {
  Site site;
  site.Plan();
  v1::NodeFacts silent;
  silent.set_name("s3");
  *silent.add_problems() = MakeReason(v1::NODE_UNREACHABLE, "s3", "connection refused");
  site.At("s3") = silent;
  EXPECT_THAT(site.Refusals(), ElementsAre(v1::NODE_UNREACHABLE));
}

}  // namespace
}  // namespace k3saga::core
