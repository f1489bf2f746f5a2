#include "coordinator/core/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/reason.h"
#include "coordinator/core/planner/hops.h"
#include "tests/unit/core/plans.h"

namespace k3saga::core {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

// Three servers and two workers as healthy as can be; a test spoils what it is about.
struct Site {
  PlanRequest request;
  std::vector<v1::NodeFacts> facts;

  Site() {
    request.cluster = "home";
    request.release.set_version(kTo);
    request.policies.mutable_backup()->set_enabled(true);
    request.policies.mutable_workers()->mutable_drain()->set_enabled(true);
    for (const char* name : {"s1", "s2", "s3"}) AddServer(name);
    for (const char* name : {"w1", "w2"}) AddWorker(name);
  }

  v1::NodeFacts& At(const std::string& name) {
    for (v1::NodeFacts& each : facts) {
      if (each.name() == name) return each;
    }
    return facts.emplace_back();
  }
  v1::K3sFacts& K3s(const std::string& name) { return *At(name).mutable_k3s(); }

  // For every server, so that all see the same.
  template <typename Change>
  void Everywhere(Change change) {
    for (v1::NodeFacts& each : facts) {
      if (each.k3s().role() == v1::ROLE_SERVER) change(each);
    }
  }

  PlanOutcome Plan() {
    // Objects and members as the nodes that are there make them, unless the test set its own.
    Everywhere([this](v1::NodeFacts& server) {
      if (server.nodes_size() == 0 && api) AddObjects(server);
      if (server.etcd().members_size() == 0 && server.etcd().member_id() != 0) AddMembers(server);
    });
    return MakePlan(request, facts);
  }

  std::vector<v1::ReasonCode> Refusals() {
    std::vector<v1::ReasonCode> codes;
    for (const v1::Reason& reason : Plan().refusals) {
      codes.push_back(reason.code());
      EXPECT_FALSE(reason.detail().empty()) << Describe(reason);
      const bool told_by_agent =
          reason.code() == v1::BUDGET_NEVER_ALLOWS || reason.detail() == "connection refused";
      EXPECT_TRUE(told_by_agent || !reason.remedy().empty()) << Describe(reason);
    }
    return codes;
  }

  bool api = true;

 private:
  v1::NodeFacts& Add(const std::string& name, v1::Role role) {
    request.nodes.push_back({name, role, "ipv4:127.0.0.1:7440"});
    v1::NodeFacts& node = facts.emplace_back();
    node.set_name(name);
    node.set_protocol(1);
    node.set_architecture("amd64");
    v1::K3sFacts& k3s = *node.mutable_k3s();
    k3s.set_distribution("k3s");
    k3s.set_role(role);
    k3s.set_unit(role == v1::ROLE_SERVER ? "k3s.service" : "k3s-agent.service");
    k3s.set_running_version(kFrom);
    k3s.set_binary_version(kFrom);
    k3s.set_node_name(name);
    k3s.set_cluster_id("abc");
    k3s.set_runs_kubelet(true);
    k3s.set_free_bytes(uint64_t{10} << 30);
    return node;
  }

  void AddServer(const std::string& name) {
    v1::NodeFacts& node = Add(name, v1::ROLE_SERVER);
    node.mutable_k3s()->set_datastore(v1::DATASTORE_EMBEDDED_ETCD);
    node.mutable_k3s()->set_runs_apiserver(true);
    node.mutable_k3s()->set_runs_etcd(true);
    node.mutable_etcd()->set_member_id(facts.size());
    node.mutable_etcd()->set_version("3.5.16");
    node.mutable_etcd()->set_linearizable_read(true);
  }
  void AddWorker(const std::string& name) { Add(name, v1::ROLE_WORKER); }

  void AddObjects(v1::NodeFacts& server) {
    for (const v1::NodeFacts& node : facts) {
      v1::KubeNode& object = *server.add_nodes();
      object.set_name(node.name());
      object.set_ready(true);
    }
  }
  void AddMembers(v1::NodeFacts& server) {
    for (const v1::NodeFacts& node : facts) {
      if (node.k3s().role() != v1::ROLE_SERVER) continue;
      v1::EtcdMember& member = *server.mutable_etcd()->add_members();
      member.set_id(static_cast<uint64_t>(node.name()[1] - '0'));
      member.set_name(node.name() + "-1f2e");
      member.add_client_urls("https://10.0.0.1:2379");
    }
  }
};

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
