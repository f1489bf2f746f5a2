#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/reason.h"
#include "coordinator/core/way_back.h"
#include "tests/unit/core/plans.h"
#include "tests/unit/core/stage.h"

// Plans that lead back: what each node is to run, where the datastore comes from, and every reason for there
// being none.
namespace k3saga::core {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kRollout[] = "20260131-142507-4f2a";
constexpr char kBackup[] = "k3saga-20260131-142507-4f2a";

// Three servers and a worker that a rollout brought from kFrom to kTo, all healthy, with what it kept and the
// backup on s2.
class Home {
 public:
  Home() {
    request.cluster = "home";
    for (const char* name : {"s1", "s2", "s3", "w1"}) Add(name);
    v1::StoredBackup& backup = *At("s2").add_backups();
    backup.set_id(kBackup);
    backup.set_version(kFrom);
    backup.set_bytes(1 << 20);
    backup.set_sha256("5a");
    backup.set_taken_unix_ms(1'770'000'000'000);
    backup.set_datastore(v1::DATASTORE_EMBEDDED_ETCD);
    backup.set_cluster_id("abc");
    backup.set_rollout(kRollout);
    undone.rollout = kRollout;
    undone.plan = MakeRollout(3, 1).plan();
    undone.past_return = true;
    undone.backups.push_back({"s2", {}});
    undone.backups.back().result.set_id(kBackup);
    undone.moved = {{"s2", 1}, {"s3", 2}, {"s1", 3}, {"w1", 4}};
  }

  v1::NodeFacts& At(const std::string& name) {
    for (v1::NodeFacts& each : facts) {
      if (each.name() == name) return each;
    }
    return facts.emplace_back();
  }
  void Leave(const std::string& name) {
    v1::NodeFacts& node = At(name);
    node.Clear();
    node.set_name(name);
    *node.add_problems() = MakeReason(v1::NODE_UNREACHABLE, name, "connection refused", "start its agent");
  }

  PlanOutcome Rollback() { return MakeRollbackPlan(request, undone, facts); }
  PlanOutcome Restore() { return MakeRestorePlan(request, {kBackup, ""}, facts); }

  PlanRequest request;
  std::vector<v1::NodeFacts> facts;
  Undone undone;

 private:
  void Add(const std::string& name) {
    const bool server = name[0] == 's';
    request.nodes.push_back({name, server ? v1::ROLE_SERVER : v1::ROLE_WORKER, "ipv4:10.0.0.1:7440"});
    v1::NodeFacts& node = facts.emplace_back();
    node.set_name(name);
    node.set_protocol(1);
    v1::K3sFacts& k3s = *node.mutable_k3s();
    k3s.set_distribution("k3s");
    k3s.set_role(server ? v1::ROLE_SERVER : v1::ROLE_WORKER);
    k3s.set_running_version(kTo);
    k3s.set_binary_version(kTo);
    k3s.set_cluster_id("abc");
    k3s.set_runs_kubelet(true);
    v1::KeptFiles& kept = *node.add_kept();
    kept.set_rollout(kRollout);
    kept.set_version(kFrom);
    if (!server) return;
    k3s.set_datastore(v1::DATASTORE_EMBEDDED_ETCD);
    k3s.set_runs_apiserver(true);
    k3s.set_runs_etcd(true);
    node.mutable_etcd()->set_member_id(static_cast<uint64_t>(name[1] - '0'));
    node.mutable_etcd()->set_linearizable_read(true);
    for (const char* each : {"s1", "s2", "s3", "w1"}) {
      v1::KubeNode& object = *node.add_nodes();
      object.set_name(each);
      object.set_ready(true);
      object.add_addresses(absl::StrCat("10.0.1.", each[1] - '0'));
    }
    for (const char* each : {"s1", "s2", "s3"}) {
      v1::EtcdMember& member = *node.mutable_etcd()->add_members();
      member.set_id(static_cast<uint64_t>(each[1] - '0'));
      member.set_name(std::string(each) + "-1f2e");
      member.add_client_urls("https://10.0.0.1:2379");
    }
  }
};

std::vector<v1::ReasonCode> Codes(const PlanOutcome& outcome) {
  std::vector<v1::ReasonCode> codes;
  for (const v1::Reason& reason : outcome.refusals) {
    codes.push_back(reason.code());
    EXPECT_FALSE(reason.detail().empty()) << Describe(reason);
    EXPECT_FALSE(reason.remedy().empty()) << Describe(reason);
  }
  return codes;
}

std::vector<v1::ReasonCode> Notices(const PlanOutcome& outcome) {
  std::vector<v1::ReasonCode> codes;
  for (const v1::Reason& reason : outcome.plan.notices()) codes.push_back(reason.code());
  return codes;
}

TEST(RollbackPlan, OverAMinorNeedsTheDatastoreAndSaysSo) {
  Home home;
  EXPECT_THAT(Codes(home.Rollback()), ElementsAre(v1::DATA_LOSS));
  home.request.consent_data_loss = true;
  const PlanOutcome outcome = home.Rollback();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan) << Describe(outcome.refusals.front());
  const v1::Plan& plan = outcome.plan;
  EXPECT_EQ(plan.kind(), v1::Plan::ROLLBACK);
  EXPECT_EQ(plan.undoes(), kRollout);
  EXPECT_EQ(plan.from_version(), kTo);
  EXPECT_EQ(plan.to_version(), kFrom);
  EXPECT_EQ(plan.restore_from().id(), kBackup);
  EXPECT_EQ(plan.restore_on(), "s2");
  EXPECT_EQ(plan.restore_taken_unix_ms(), 1'770'000'000'000);
  EXPECT_TRUE(plan.consent_data_loss());
  EXPECT_TRUE(plan.consent_outage());
  EXPECT_EQ(plan.nodes(0).to_version(), kFrom);
  EXPECT_EQ(plan.nodes(0).moved_as(), 3u);
  EXPECT_EQ(plan.nodes(1).api_url(), "https://10.0.1.2:6443");
  EXPECT_TRUE(plan.nodes(0).runs_etcd());
}

TEST(RollbackPlan, OfAPatchGoesByBinaries) {
  Home home;
  home.undone.past_return = false;
  const PlanOutcome outcome = home.Rollback();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan) << Describe(outcome.refusals.front());
  EXPECT_FALSE(outcome.plan.has_restore_from());
  const std::vector<Wave> waves = DescribeWaves(outcome.plan);
  ASSERT_EQ(waves.size(), 3u);
  EXPECT_EQ(waves[0].title, "Put back the workers");
  EXPECT_EQ(waves[1].nodes[0].name, "s1") << "upgraded last";
  EXPECT_EQ(waves[1].nodes[2].name, "s2");
}

TEST(RollbackPlan, LeavesNodesAloneThatWereNotMoved) {
  Home home;
  home.undone.past_return = false;
  home.undone.moved.erase("s1");
  home.At("s1").mutable_k3s()->set_running_version(kFrom);
  home.At("s1").mutable_k3s()->set_binary_version(kFrom);
  home.At("s3").mutable_k3s()->set_running_version(kFrom);  // went back since
  const PlanOutcome outcome = home.Rollback();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan) << Describe(outcome.refusals.front());
  EXPECT_TRUE(outcome.plan.nodes(0).at_target());
  EXPECT_FALSE(outcome.plan.nodes(1).at_target());
  EXPECT_TRUE(outcome.plan.nodes(2).at_target());
}

TEST(RollbackPlan, NothingToDo) {
  Home home;
  home.undone.moved.clear();
  EXPECT_EQ(home.Rollback().kind, PlanOutcome::Kind::kNothingToDo);
}

struct Case {
  const char* what;
  void (*spoil)(Home&);
  v1::ReasonCode code;
};

TEST(RollbackPlan, Refuses) {
  const Case cases[] = {
      {"no kept files", [](Home& home) { home.At("s3").clear_kept(); }, v1::NOT_KEPT},
      {"a later rollout went on",
       [](Home& home) { home.At("s3").mutable_k3s()->set_running_version("v1.33.0+k3s1"); },
       v1::WRONG_VERSION_RUNNING},
      {"the backup is gone", [](Home& home) { home.At("s2").clear_backups(); }, v1::BACKUP_UNUSABLE},
      {"it took none", [](Home& home) { home.undone.backups.clear(); }, v1::BACKUP_UNUSABLE},
      {"a backup of another cluster",
       [](Home& home) { home.At("s2").mutable_backups(0)->set_cluster_id("xyz"); }, v1::BACKUP_UNUSABLE},
      {"a backup without a hash", [](Home& home) { home.At("s2").mutable_backups(0)->clear_sha256(); },
       v1::BACKUP_UNUSABLE},
      {"a server that does not answer", [](Home& home) { home.Leave("s3"); }, v1::NODE_UNREACHABLE},
      {"somebody holds the cluster",
       [](Home& home) {
         home.At("s1").mutable_claim()->set_active(true);
         home.At("s1").mutable_claim()->set_rollout("other");
       },
       v1::CLUSTER_HELD},
      {"another cluster's node", [](Home& home) { home.At("w1").mutable_k3s()->set_cluster_id("xyz"); },
       v1::DIFFERENT_CLUSTER},
      {"a worker would stay newer", [](Home& home) { home.undone.moved.erase("w1"); },
       v1::WORKER_NEWER_THAN_SERVERS},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.what);
    Home home;
    home.request.consent_data_loss = true;
    each.spoil(home);
    EXPECT_THAT(Codes(home.Rollback()), Contains(each.code));
  }
}

TEST(RollbackPlan, LeavesOutAWorkerThatDoesNotAnswer) {
  Home home;
  home.request.consent_data_loss = true;
  home.Leave("w1");
  const PlanOutcome outcome = home.Rollback();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan) << Describe(outcome.refusals.front());
  EXPECT_EQ(outcome.plan.nodes_size(), 3);
  EXPECT_THAT(Notices(outcome), Contains(v1::NODE_UNREACHABLE));
}

TEST(RestorePlan, PutsTheBackupsReleaseBackWhereItIsKept) {
  Home home;
  EXPECT_THAT(Codes(home.Restore()), ElementsAre(v1::DATA_LOSS));
  home.request.consent_data_loss = true;
  const PlanOutcome outcome = home.Restore();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan) << Describe(outcome.refusals.front());
  EXPECT_EQ(outcome.plan.kind(), v1::Plan::RESTORE);
  EXPECT_EQ(outcome.plan.undoes(), kRollout);
  for (const v1::PlannedNode& node : outcome.plan.nodes()) EXPECT_EQ(node.to_version(), kFrom) << node.name();
  std::vector<std::string> titles;
  for (const Wave& wave : DescribeWaves(outcome.plan)) titles.push_back(wave.title);
  EXPECT_THAT(titles, ElementsAre("Put back the workers", "Stop the servers", "Restore the datastore",
                                  "Rejoin the servers", "Restart the workers", "Verify"));
}

TEST(RestorePlan, StaysAtTheRunningReleaseWhereNothingOlderIsKept) {
  Home home;
  home.request.consent_data_loss = true;
  for (v1::NodeFacts& node : home.facts) node.clear_kept();
  const PlanOutcome outcome = home.Restore();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan) << Describe(outcome.refusals.front());
  EXPECT_EQ(outcome.plan.undoes(), "");
  EXPECT_EQ(outcome.plan.nodes(1).to_version(), kTo);
  EXPECT_THAT(Notices(outcome), Contains(v1::NOT_KEPT));
}

// At night: the API and etcd are gone, servers are down.
TEST(RestorePlan, NeedsNothingOfTheOldDatastore) {
  Home home;
  home.request.consent_data_loss = true;
  for (v1::NodeFacts& node : home.facts) {
    node.clear_nodes();
    node.clear_etcd();
    if (node.k3s().role() == v1::ROLE_SERVER) node.mutable_k3s()->clear_running_version();
  }
  const PlanOutcome outcome = home.Restore();
  ASSERT_EQ(outcome.kind, PlanOutcome::Kind::kPlan) << Describe(outcome.refusals.front());
  EXPECT_EQ(outcome.plan.nodes(1).api_url(), "https://10.0.0.1:6443") << "by its agent's address";
}

TEST(RestorePlan, Refuses) {
  const Case cases[] = {
      {"no such backup", [](Home& home) { home.At("s2").clear_backups(); }, v1::BACKUP_UNUSABLE},
      {"a newer version's", [](Home& home) { home.At("s2").mutable_backups(0)->set_version("v1.33.0+k3s1"); },
       v1::BACKUP_UNUSABLE},
      {"of another kind",
       [](Home& home) { home.At("s2").mutable_backups(0)->set_datastore(v1::DATASTORE_SQLITE); },
       v1::BACKUP_UNUSABLE},
      {"an external datastore",
       [](Home& home) {
         for (v1::NodeFacts& node : home.facts) node.mutable_k3s()->set_datastore(v1::DATASTORE_EXTERNAL);
       },
       v1::BACKUP_UNUSABLE},
      {"a worker that nobody can put back", [](Home& home) { home.At("w1").clear_kept(); },
       v1::WORKER_NEWER_THAN_SERVERS},
      {"a server that does not answer", [](Home& home) { home.Leave("s1"); }, v1::NODE_UNREACHABLE},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.what);
    Home home;
    home.request.consent_data_loss = true;
    each.spoil(home);
    EXPECT_THAT(Codes(home.Restore()), Contains(each.code));
  }
}

TEST(Undone, IsWhatTheJournalSays) {
  Stage stage(MakeRollout(3, 1));
  stage.Play();
  const Undone undone = UndoneOf(stage.state());
  EXPECT_EQ(undone.rollout, stage.state().rollout());
  EXPECT_TRUE(undone.past_return);
  ASSERT_EQ(undone.backups.size(), 1u);
  EXPECT_EQ(undone.moved.at("s2"), 1u);
  EXPECT_EQ(undone.moved.at("s1"), 3u);
  EXPECT_EQ(undone.moved.at("w1"), 4u);

  Stage compensated(MakeRollout(3, 1));
  compensated.script = [](const v1::OperationIssued& issued) -> std::optional<v1::Outcome> {
    if (issued.spec().has_install() && issued.node() == "s3")
      return Failed(v1::API_NOT_READY, v1::Outcome::PUT_BACK);
    return Succeeded(issued);
  };
  compensated.Play();
  EXPECT_THAT(UndoneOf(compensated.state()).moved, IsEmpty());
}

}  // namespace
}  // namespace k3saga::core
