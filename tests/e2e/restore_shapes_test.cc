// `restore --backup` of clusters of other shapes: one SQLite server, two servers whose backup is left on the
// coordinator's machine only, five servers.

#include "common/host/files.h"
#include "tests/e2e/datastore.h"
#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Members = std::map<std::string, size_t>;

class RestoreOf : public ::testing::Test {
 protected:
  // Up, with a backup between a note that it has and one that it has not.
  void UpWithBackup(const LabCluster::Shape& shape) {
    auto up = LabCluster::Up(shape);
    ASSERT_TRUE(up.ok()) << up.status();
    lab_ = *std::move(up);
    AppendToClusterFile(*lab_, "backup: {copy_to: copies}\n");
    datastore_ = std::make_unique<Datastore>(*lab_);
    ASSERT_TRUE(datastore_->Note("before"));
    const auto taken = lab_->K3saga({"backup"});
    ASSERT_EQ(taken.exit_code, 0) << taken.out << taken.err;
    const nlohmann::json list = lab_->K3sagaJson({"backups"});
    ASSERT_EQ(list["backups"].size(), 1u) << list;
    backup_ = list["backups"][0];
    ASSERT_TRUE(datastore_->Note("after"));
  }
  LabCluster::Ended Restore() {
    return lab_->K3saga(
        {"restore", "--backup", backup_["id"].get<std::string>(), "--yes", "--accept-data-loss"});
  }
  void ExpectRestored(const LabCluster::Ended& restore) {
    EXPECT_EQ(restore.exit_code, 0) << restore.out << restore.err;
    EXPECT_EQ(StateOf(*lab_), "succeeded");
    EXPECT_TRUE(datastore_->HasNote("before"));
    EXPECT_FALSE(datastore_->HasNote("after"));
  }
  std::string FolderOn(const std::string& node) {
    return lab_->Path("nodes/" + node + "/root/var/lib/k3saga-agent/backups/") +
           backup_["id"].get<std::string>();
  }

  std::unique_ptr<LabCluster> lab_;
  std::unique_ptr<Datastore> datastore_;
  nlohmann::json backup_;
};

TEST_F(RestoreOf, OneSqliteServer) {
  ASSERT_NO_FATAL_FAILURE(UpWithBackup({.servers = 1, .workers = 1, .up_arguments = {"--sqlite"}}));
  ASSERT_NO_FATAL_FAILURE(ExpectRestored(Restore()));
  // Damaged on its node: what is here is as it was taken.
  ASSERT_TRUE(datastore_->Note("after"));
  ASSERT_TRUE(WriteFileDurably(FolderOn("s1") + "/state.db", "damaged").ok());
  const auto again = Restore();
  EXPECT_THAT(again.out + again.err, HasSubstr("s1 has it damaged"));
  ExpectRestored(again);
}

// With its journal, in the middle: nobody knows where the datastore stands. The rollout is ended, so that the
// cluster is free, and the restore begins anew.
TEST_F(RestoreOf, TwoServersAfterTheCoordinatorsMachineWasLost) {
  ASSERT_NO_FATAL_FAILURE(UpWithBackup({.servers = 2, .workers = 0}));
  ChildProcess lost = lab_->StartK3saga(
      {"restore", "--backup", backup_["id"].get<std::string>(), "--yes", "--accept-data-loss"}, "lost.log");
  ASSERT_TRUE(
      Eventually([&] { return lab_->Log("lost.log").find("== Restore datastore") != std::string::npos; },
                 std::chrono::seconds(120)))
      << lab_->Log("lost.log");
  lost.Kill();
  ASSERT_TRUE(RemoveTree(lab_->Path("state")).ok());
  lab_->UseState("state2");

  const auto held = Restore();
  EXPECT_EQ(held.exit_code, 3) << held.out << held.err;
  EXPECT_THAT(held.out + held.err, HasSubstr("adopt"));
  const auto adopted = lab_->K3saga({"adopt", "--take-over"});
  EXPECT_EQ(adopted.exit_code, 1) << adopted.out << adopted.err;
  EXPECT_THAT(adopted.out + adopted.err, HasSubstr("k3saga restore --backup"));
  EXPECT_EQ(StateOf(*lab_), "stopped");
  ExpectRestored(Restore());
}

// The disk of the server that took it was replaced.
TEST_F(RestoreOf, TwoServersFromTheCoordinatorsCopy) {
  ASSERT_NO_FATAL_FAILURE(UpWithBackup({.servers = 2, .workers = 0}));
  const std::string node = backup_["node"];
  ASSERT_TRUE(RemoveTree(FolderOn(node)).ok());

  // A copy that is damaged itself goes nowhere, and nothing is touched.
  const std::string token = backup_["copy"].get<std::string>() + "/token";
  const std::string secret = *ReadFile(token);
  ASSERT_TRUE(WriteFileDurably(token, "other").ok());
  const auto damaged = Restore();
  EXPECT_EQ(damaged.exit_code, 1) << damaged.out << damaged.err;
  EXPECT_THAT(damaged.out + damaged.err, HasSubstr("token is damaged or gone"));
  EXPECT_TRUE(datastore_->HasNote("after"));
  EXPECT_FALSE(Exists(FolderOn(node)));

  ASSERT_TRUE(WriteFileDurably(token, secret).ok());
  // Without consent nothing is changed anywhere.
  const auto unasked = lab_->K3saga({"restore", "--backup", backup_["id"].get<std::string>(), "--yes"});
  EXPECT_EQ(unasked.exit_code, 3) << unasked.out << unasked.err;
  EXPECT_THAT(unasked.out + unasked.err, HasSubstr("it is brought to " + node));
  EXPECT_FALSE(Exists(FolderOn(node)));

  const auto restore = Restore();
  EXPECT_THAT(restore.out + restore.err, HasSubstr("no server has it"));
  EXPECT_THAT(restore.out + restore.err, HasSubstr("the backup was brought from its copy"));
  EXPECT_THAT(restore.out + restore.err, Not(HasSubstr(secret))) << "the token is a secret";
  ExpectRestored(restore);
  EXPECT_EQ(MembersOf(*lab_), (Members{{"s1", 2}, {"s2", 2}}));
}

TEST_F(RestoreOf, FiveServers) {
  ASSERT_NO_FATAL_FAILURE(UpWithBackup({.servers = 5, .workers = 0}));
  ExpectRestored(Restore());
  EXPECT_EQ(MembersOf(*lab_), (Members{{"s1", 5}, {"s2", 5}, {"s3", 5}, {"s4", 5}, {"s5", 5}}));
}

}  // namespace
}  // namespace k3saga::testing
