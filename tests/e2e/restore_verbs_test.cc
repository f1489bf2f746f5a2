// The agents' verbs of a datastore's way back, with real etcd and without a coordinator: what each leaves
// behind, and that a kill in the middle of one is survived.

#include <thread>

#include "common/host/files.h"
#include "common/reason.h"
#include "lab/control/cluster_client.h"
#include "tests/e2e/agent_calls.h"
#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kConfigMaps[] = "/api/v1/namespaces/default/configmaps";

class RestoreVerbs : public ::testing::Test {
 protected:
  void Up(const LabCluster::Shape& shape) {
    auto up = LabCluster::Up(shape);
    ASSERT_TRUE(up.ok()) << up.status();
    lab_ = *std::move(up);
    layout_ = *lab::LoadLab(lab_->dir());
    agents_ = std::make_unique<AgentCalls>(*lab_);
    api_ = std::make_unique<lab::ClusterClient>(layout_);
  }

  void Note(const std::string& name) {
    const nlohmann::json note = {{"metadata", {{"name", name}}}};
    const auto created = api_->Call("POST", kConfigMaps, note);
    ASSERT_TRUE(created.ok()) << created.status();
  }
  bool HasNote(const std::string& name) {
    return api_->Call("GET", std::string(kConfigMaps) + "/" + name).ok();
  }

  v1::BackupResult Backup(const std::string& node, const std::string& name) {
    v1::OperationSpec spec;
    spec.mutable_backup()->set_name(name);
    const v1::Outcome outcome = agents_->Run(node, spec);
    EXPECT_EQ(outcome.code(), v1::Outcome::SUCCEEDED) << Describe(outcome.reason());
    return outcome.backup();
  }
  void Stop(const std::string& node) {
    v1::OperationSpec spec;
    spec.mutable_stop()->set_deadline_seconds(60);
    const v1::Outcome outcome = agents_->Run(node, spec);
    ASSERT_EQ(outcome.code(), v1::Outcome::SUCCEEDED) << Describe(outcome.reason());
    EXPECT_THAT(agents_->Facts(node).k3s().running_version(), IsEmpty());
  }
  static v1::OperationSpec RestoreFrom(const v1::BackupResult& backup) {
    v1::OperationSpec spec;
    spec.mutable_restore_datastore()->set_backup_id(backup.id());
    spec.mutable_restore_datastore()->set_sha256(backup.sha256());
    spec.mutable_restore_datastore()->set_deadline_seconds(120);
    return spec;
  }
  v1::OperationSpec RejoinThrough(const std::string& server) {
    v1::OperationSpec spec;
    spec.mutable_rejoin()->set_deadline_seconds(120);
    spec.mutable_rejoin()->set_server_url(agents_->ApiUrl(server));
    return spec;
  }
  void ExpectSuccess(const std::string& node, const v1::OperationSpec& spec) {
    const v1::Outcome outcome = agents_->Run(node, spec);
    ASSERT_EQ(outcome.code(), v1::Outcome::SUCCEEDED) << node << ": " << Describe(outcome.reason());
    EXPECT_EQ(outcome.node_state(), v1::Outcome::CHANGED);
  }
  // Whatever runs it dies at that crash point; a process that is started from then on may live.
  void RunKilledAt(const std::string& point, const std::string& node, const v1::OperationSpec& spec) {
    ASSERT_EQ(lab_->Lab({"fault", "environment", node, "--keep", "K3SAGA_CRASH_AT=" + point}).exit_code, 0);
    std::thread calm([&] {
      AgentCalls watcher(*lab_);
      (void)Eventually([&] {
        const auto last = watcher.Last(node);
        return last && last->spec().verb_case() == spec.verb_case() && last->starts() >= 2;
      });
      EXPECT_EQ(lab_->Lab({"fault", "environment", node, "--keep"}).exit_code, 0);
    });
    const v1::Outcome outcome = agents_->Run(node, spec);
    calm.join();
    EXPECT_EQ(outcome.code(), v1::Outcome::SUCCEEDED) << Describe(outcome.reason());
    EXPECT_GE(agents_->Last(node)->starts(), 2u);
  }
  std::string Enabled(const std::string& node) {
    return lab_->Path("nodes/" + node + "/root/etc/systemd/system/multi-user.target.wants/k3s.service");
  }

  std::unique_ptr<LabCluster> lab_;
  lab::Lab layout_;
  std::unique_ptr<AgentCalls> agents_;
  std::unique_ptr<lab::ClusterClient> api_;
};

// Restored on a server that was told to join another one; the one that began the cluster rejoins through it,
// and a third one has credentials that k3s calls newer than the datastore.
TEST_F(RestoreVerbs, BringThreeServersBackToTheBackup) {
  ASSERT_NO_FATAL_FAILURE(Up({.servers = 3, .workers = 1}));
  const auto units = UnitsOf(*lab_, {"s1", "s2", "s3", "w1"});
  ASSERT_NO_FATAL_FAILURE(Note("before"));
  const v1::BackupResult backup = Backup("s2", "before-it");
  ASSERT_NO_FATAL_FAILURE(Note("after"));
  ASSERT_EQ(lab_->Lab({"fault", "node", "s3", "newer-credentials"}).exit_code, 0);

  for (const char* node : {"s1", "s2", "s3"}) {
    ASSERT_NO_FATAL_FAILURE(Stop(node));
    EXPECT_FALSE(Exists(Enabled(node))) << "a boot must not start it";
  }
  ASSERT_NO_FATAL_FAILURE(ExpectSuccess("s2", RestoreFrom(backup)));
  EXPECT_TRUE(Exists(Enabled("s2")));
  EXPECT_THAT(agents_->Facts("s2").etcd().members(), SizeIs(1));

  v1::OperationSpec through_nobody;
  through_nobody.mutable_rejoin();
  EXPECT_EQ(agents_->Run("s1", through_nobody).reason().code(), v1::NODE_LAYOUT_UNSUPPORTED)
      << "it would begin a cluster of its own";
  ASSERT_NO_FATAL_FAILURE(ExpectSuccess("s1", RejoinThrough("s2")));
  ASSERT_NO_FATAL_FAILURE(ExpectSuccess("s3", RejoinThrough("s2")));
  v1::OperationSpec restart;
  restart.mutable_restart()->set_deadline_seconds(60);
  ASSERT_NO_FATAL_FAILURE(ExpectSuccess("w1", restart));

  EXPECT_TRUE(HasNote("before"));
  EXPECT_FALSE(HasNote("after"));
  for (const char* node : {"s1", "s2", "s3"}) {
    const v1::NodeFacts facts = agents_->Facts(node);
    EXPECT_THAT(facts.etcd().members(), SizeIs(3)) << node;
    EXPECT_EQ(facts.k3s().running_version(), kOld);
    EXPECT_TRUE(Exists(Enabled(node)));
  }
  EXPECT_EQ(UnitsOf(*lab_, {"s1", "s2", "s3", "w1"}), units);
  const std::string s3 = lab_->Path("nodes/s3/root/var/lib/rancher/k3s/server/");
  EXPECT_TRUE(Exists(s3 + "tls/server-ca.crt")) << "got from its peers";
  EXPECT_THAT(*ListDirectory(s3 + "k3saga-aside"), SizeIs(1));
  EXPECT_FALSE(Exists(lab_->Path("nodes/s1/root/etc/systemd/system/k3s.service.d")));

  // Confirmed: what was set aside goes.
  v1::OperationSpec claim;
  claim.mutable_claim()->set_holder("test@here:1");
  EXPECT_EQ(agents_->Run("s3", claim).code(), v1::Outcome::SUCCEEDED);
  v1::OperationSpec release;
  release.mutable_release_claim()->set_confirm(true);
  EXPECT_EQ(agents_->Run("s3", release).code(), v1::Outcome::SUCCEEDED);
  EXPECT_FALSE(Exists(s3 + "k3saga-aside"));
}

TEST_F(RestoreVerbs, SurviveAKillAtEachStep) {
  ASSERT_NO_FATAL_FAILURE(Up({.servers = 1, .workers = 0}));
  ASSERT_NO_FATAL_FAILURE(Note("before"));
  const v1::BackupResult backup = Backup("s1", "before-it");
  for (const std::string point :
       {"set_aside.before_move", "set_aside.after_move", "reset.before", "reset.after"}) {
    SCOPED_TRACE(point);
    ASSERT_NO_FATAL_FAILURE(Note("after"));
    ASSERT_NO_FATAL_FAILURE(Stop("s1"));
    ASSERT_NO_FATAL_FAILURE(RunKilledAt(point, "s1", RestoreFrom(backup)));
    EXPECT_TRUE(HasNote("before"));
    EXPECT_FALSE(HasNote("after"));
  }
}

// Checked, halted, set aside, joined: killed right after each of these.
TEST_F(RestoreVerbs, ARejoinSurvivesAKillAtEachStep) {
  ASSERT_NO_FATAL_FAILURE(Up({.servers = 2, .workers = 0}));
  ASSERT_NO_FATAL_FAILURE(Note("before"));
  const v1::BackupResult backup = Backup("s1", "before-it");
  for (int effect = 1; effect <= 4; ++effect) {
    SCOPED_TRACE(effect);
    ASSERT_NO_FATAL_FAILURE(Stop("s2"));
    ASSERT_NO_FATAL_FAILURE(Stop("s1"));
    ASSERT_NO_FATAL_FAILURE(ExpectSuccess("s1", RestoreFrom(backup)));
    ASSERT_NO_FATAL_FAILURE(
        RunKilledAt("agent.operation.after_effect:" + std::to_string(effect), "s2", RejoinThrough("s1")));
    EXPECT_TRUE(HasNote("before"));
    EXPECT_THAT(agents_->Facts("s2").etcd().members(), SizeIs(2));
    EXPECT_EQ(agents_->Facts("s2").k3s().running_version(), kOld);
  }
}

TEST_F(RestoreVerbs, SayWhyARestoreFailed) {
  ASSERT_NO_FATAL_FAILURE(Up({.servers = 1, .workers = 0}));
  ASSERT_NO_FATAL_FAILURE(Note("before"));
  const v1::BackupResult backup = Backup("s1", "before-it");

  v1::BackupResult other = backup;
  other.set_sha256("00");
  v1::Outcome outcome = agents_->Run("s1", RestoreFrom(other));
  EXPECT_EQ(outcome.code(), v1::Outcome::REFUSED);
  EXPECT_EQ(outcome.reason().code(), v1::BACKUP_UNUSABLE);
  EXPECT_EQ(agents_->Facts("s1").k3s().running_version(), kOld) << "nothing was touched";

  ASSERT_EQ(lab_->Lab({"fault", "node", "s1", "reset-fails"}).exit_code, 0);
  outcome = agents_->Run("s1", RestoreFrom(backup));
  EXPECT_EQ(outcome.code(), v1::Outcome::FAILED);
  EXPECT_EQ(outcome.node_state(), v1::Outcome::BROKEN);
  EXPECT_EQ(outcome.reason().code(), v1::RESTORE_FAILED);
  EXPECT_THAT(outcome.reason().detail(), HasSubstr("reset fails"));

  ASSERT_EQ(lab_->Lab({"fault", "node", "s1", "reset-hangs"}).exit_code, 0);
  v1::OperationSpec hurried = RestoreFrom(backup);
  hurried.mutable_restore_datastore()->set_deadline_seconds(4);
  outcome = agents_->Run("s1", hurried);
  EXPECT_EQ(outcome.code(), v1::Outcome::FAILED);
  EXPECT_EQ(outcome.reason().code(), v1::TIMED_OUT) << Describe(outcome.reason());

  // Another attempt, once its cause is gone, ends well.
  ASSERT_EQ(lab_->Lab({"fault", "node", "s1", "good"}).exit_code, 0);
  ASSERT_NO_FATAL_FAILURE(ExpectSuccess("s1", RestoreFrom(backup)));
  EXPECT_TRUE(HasNote("before"));
}

TEST_F(RestoreVerbs, PutASqliteFileInItsPlace) {
  ASSERT_NO_FATAL_FAILURE(Up({.servers = 1, .workers = 0, .up_arguments = {"--sqlite"}}));
  ASSERT_NO_FATAL_FAILURE(Note("before"));
  const v1::BackupResult backup = Backup("s1", "before-it");
  ASSERT_NO_FATAL_FAILURE(Note("after"));
  ASSERT_NO_FATAL_FAILURE(ExpectSuccess("s1", RestoreFrom(backup)));
  EXPECT_TRUE(HasNote("before"));
  EXPECT_FALSE(HasNote("after"));
}

}  // namespace
}  // namespace k3saga::testing
