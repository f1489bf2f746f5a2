// The way back with real etcd, as a user goes it: rollbacks of a patch and of a minor version, a restore that
// is killed at each of its steps and resumed, and the servers of an upgrade that fails at the first or the
// last of them.

#include <signal.h>

#include "tests/e2e/datastore.h"
#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

using Versions = std::map<std::string, std::string>;
using ::testing::HasSubstr;

constexpr char kPatch[] = "v1.31.5+k3s1";

class WayBack : public ::testing::Test {
 protected:
  void Up(const LabCluster::Shape& shape) {
    auto up = LabCluster::Up(shape);
    ASSERT_TRUE(up.ok()) << up.status();
    lab_ = *std::move(up);
    datastore_ = std::make_unique<Datastore>(*lab_);
  }
  void Upgrade(const std::string& version) {
    const auto upgrade = lab_->K3saga({"upgrade", "--to", version, "--yes"});
    ASSERT_EQ(upgrade.exit_code, 0) << upgrade.out << upgrade.err;
  }
  Versions All(const std::string& version) {
    return {{"s1", version}, {"s2", version}, {"s3", version}, {"w1", version}};
  }
  // Every server lists as many members as there are servers, and each of them works.
  void ExpectMembers(size_t members) {
    const std::map<std::string, size_t> all = {{"s1", members}, {"s2", members}, {"s3", members}};
    EXPECT_EQ(MembersOf(*lab_), all);
  }

  std::unique_ptr<LabCluster> lab_;
  std::unique_ptr<Datastore> datastore_;
};

TEST_F(WayBack, OfAPatchKeepsWhatWasWritten) {
  ASSERT_NO_FATAL_FAILURE(Up({.servers = 3, .workers = 1, .up_arguments = {"--releases", kPatch}}));
  const auto units = UnitsOf(*lab_, {"s1", "s2", "s3", "w1"});
  ASSERT_NO_FATAL_FAILURE(Upgrade(kPatch));
  ASSERT_TRUE(datastore_->Note("after"));
  const auto rollback = lab_->K3saga({"rollback", "--yes"});
  EXPECT_EQ(rollback.exit_code, 0) << rollback.out << rollback.err;
  EXPECT_EQ(lab_->RunningVersions(), All(kOld));
  EXPECT_TRUE(datastore_->HasNote("after")) << "binaries alone went back";
  EXPECT_EQ(UnitsOf(*lab_, {"s1", "s2", "s3", "w1"}), units);
  EXPECT_TRUE(Cordoned(*lab_).empty());
  ExpectMembers(3);
  EXPECT_EQ(lab_->K3sagaJson({"status"}).value("kind", ""), "rollback");

  const auto again = lab_->K3saga({"rollback", "--yes"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.out, HasSubstr("Nothing to do"));
}

TEST_F(WayBack, OverAMinorBringsTheDatastoreBack) {
  ASSERT_NO_FATAL_FAILURE(Up({.servers = 3, .workers = 1}));
  const auto units = UnitsOf(*lab_, {"s1", "s2", "s3", "w1"});
  ASSERT_TRUE(datastore_->Note("before"));
  ASSERT_NO_FATAL_FAILURE(Upgrade(kNew));
  ASSERT_TRUE(datastore_->Note("after"));

  const auto refused = lab_->K3saga({"rollback", "--yes"});
  EXPECT_EQ(refused.exit_code, 3) << refused.out << refused.err;
  EXPECT_THAT(refused.out + refused.err, HasSubstr("--accept-data-loss"));
  EXPECT_EQ(lab_->RunningVersions(), All(kNew));

  const auto rollback = lab_->K3saga({"rollback", "--yes", "--accept-data-loss"});
  EXPECT_EQ(rollback.exit_code, 0) << rollback.out << rollback.err;
  EXPECT_THAT(rollback.out, HasSubstr("Lost: everything written to the cluster since"));
  EXPECT_EQ(lab_->RunningVersions(), All(kOld));
  EXPECT_TRUE(datastore_->HasNote("before"));
  EXPECT_FALSE(datastore_->HasNote("after"));
  EXPECT_EQ(UnitsOf(*lab_, {"s1", "s2", "s3", "w1"}), units);
  ExpectMembers(3);

  ASSERT_NO_FATAL_FAILURE(Upgrade(kNew));
  EXPECT_EQ(lab_->RunningVersions(), All(kNew)) << "and forward again";
}

// kill -9 as soon as each step was entered; the next process goes on with what the agents do meanwhile.
TEST_F(WayBack, RestoreIsKilledAtEachStepAndResumed) {
  ASSERT_NO_FATAL_FAILURE(Up({.servers = 3, .workers = 1}));
  ASSERT_TRUE(datastore_->Note("before"));
  ASSERT_NO_FATAL_FAILURE(Upgrade(kNew));
  ASSERT_TRUE(datastore_->Note("after"));
  const nlohmann::json status = lab_->K3sagaJson({"status"});
  ASSERT_EQ(status["backups"].size(), 1u) << status;
  const std::string backup = status["backups"][0]["id"];

  std::vector<std::string> command = {"restore", "--backup", backup, "--yes", "--accept-data-loss"};
  const std::vector<std::string> steps = {"Put back workers", "Stop servers",    "Restore datastore",
                                          "Rejoin servers",   "Restart workers", "Verify"};
  for (size_t i = 0; i < steps.size(); ++i) {
    SCOPED_TRACE(steps[i]);
    const std::string log = "restore-" + std::to_string(i) + ".log";
    ChildProcess process = lab_->StartK3saga(command, log);
    const bool entered =
        Eventually([&] { return lab_->Log(log).find("== " + steps[i]) != std::string::npos; },
                   std::chrono::seconds(120));
    ASSERT_TRUE(entered) << lab_->Log(log);
    process.Signal(SIGKILL);
    EXPECT_EQ(process.Wait(std::chrono::seconds(10)), 128 + SIGKILL) << lab_->Log(log);
    command = {"resume"};
  }
  const auto resume = lab_->K3saga({"resume"});
  EXPECT_EQ(resume.exit_code, 0) << resume.out << resume.err;
  EXPECT_EQ(StateOf(*lab_), "succeeded");
  EXPECT_EQ(lab_->RunningVersions(), All(kOld));
  EXPECT_TRUE(datastore_->HasNote("before"));
  EXPECT_FALSE(datastore_->HasNote("after"));
  ExpectMembers(3);
  int resets = 0;
  for (const v1::Event& event : lab_->Events())
    resets += event.issued().spec().has_restore_datastore() ? 1 : 0;
  EXPECT_EQ(resets, 1) << "whoever goes on attaches to what was begun";
}

// Before the point of no return binaries are enough, also when it is the last server that fails: its release
// never came up.
TEST_F(WayBack, AFailedLastServerPutsAllOfThemBack) {
  ASSERT_NO_FATAL_FAILURE(Up({.servers = 3, .workers = 1, .up_arguments = {"--health-timeout", "30s"}}));
  ASSERT_TRUE(datastore_->Note("before"));
  const std::string last = LeaderOf(*lab_);  // etcd's leader goes last
  ASSERT_EQ(lab_->Lab({"fault", "node", last, "never-ready", "--only", kNew}).exit_code, 0);
  const auto upgrade = lab_->K3saga({"upgrade", "--to", kNew, "--yes"});
  EXPECT_EQ(upgrade.exit_code, 1) << upgrade.out << upgrade.err;
  EXPECT_EQ(StateOf(*lab_), "compensated");
  EXPECT_EQ(lab_->RunningVersions(), All(kOld));
  EXPECT_TRUE(datastore_->HasNote("before"));
  ExpectMembers(3);
}

}  // namespace
}  // namespace k3saga::testing
