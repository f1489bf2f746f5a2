// Backups as a user takes, lists and verifies them, on the nodes and on this machine; Velero beside them.

#include <algorithm>
#include <fstream>

#include "common/host/files.h"
#include "tests/e2e/datastore.h"
#include "tests/e2e/outcome.h"

namespace k3saga::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Backups : public ::testing::Test {
 protected:
  void Up(const LabCluster::Shape& shape, const std::string& backup_section) {
    auto up = LabCluster::Up(shape);
    ASSERT_TRUE(up.ok()) << up.status();
    lab_ = *std::move(up);
    AppendToClusterFile(*lab_, backup_section);
  }
  nlohmann::json List() { return lab_->K3sagaJson({"backups"})["backups"]; }

  std::unique_ptr<LabCluster> lab_;
};

TEST_F(Backups, AreTakenListedVerifiedAndPruned) {
  ASSERT_NO_FATAL_FAILURE(Up({.servers = 3, .workers = 0}, "backup: {keep: 2, copy_to: copies}\n"));
  EXPECT_THAT(List(), IsEmpty());
  for (int i = 0; i < 3; ++i) {
    const auto taken = lab_->K3saga({"backup", "--node", "s2"});
    EXPECT_EQ(taken.exit_code, 0) << taken.out << taken.err;
    EXPECT_THAT(taken.out, HasSubstr("A verified copy is in"));
  }
  const nlohmann::json list = List();
  ASSERT_THAT(list, SizeIs(2)) << "the oldest went, there and here";
  const std::string id = list[0]["id"];
  const std::string copy = list[0]["copy"];
  EXPECT_EQ(list[0]["node"], "s2");
  EXPECT_EQ(list[0]["version"], kOld);
  EXPECT_THAT(*ListDirectory(lab_->Path("copies")), SizeIs(2));
  for (const char* file : {"token", "unit", "environment", "manifest.json"}) {
    EXPECT_TRUE(Exists(copy + "/" + file)) << file;
  }

  const auto verified = lab_->K3saga({"backup", "verify", id});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  EXPECT_THAT(verified.out, HasSubstr("s2: every file"));
  EXPECT_THAT(verified.out, HasSubstr("here: every file"));

  ASSERT_TRUE(WriteFileDurably(copy + "/token", "other").ok());
  const auto damaged = lab_->K3saga({"backup", "verify", id});
  EXPECT_EQ(damaged.exit_code, 1) << damaged.out;
  EXPECT_THAT(damaged.out, HasSubstr("token is damaged"));
  EXPECT_THAT(damaged.out, HasSubstr("s2: every file"));
  EXPECT_EQ(lab_->K3saga({"backup", "verify", "nothing"}).exit_code, 2);

  // A backup by hand is nobody's claim: an upgrade may begin after it.
  EXPECT_EQ(lab_->K3saga({"check", "--to", kNew}).exit_code, 0);
}

TEST_F(Backups, OfSqliteAreCopiesOfItsFile) {
  ASSERT_NO_FATAL_FAILURE(
      Up({.servers = 1, .workers = 0, .up_arguments = {"--sqlite"}}, "backup: {copy_to: copies}\n"));
  ASSERT_EQ(lab_->K3saga({"backup"}).exit_code, 0);
  const nlohmann::json list = List();
  ASSERT_THAT(list, SizeIs(1));
  EXPECT_TRUE(Exists(list[0]["copy"].get<std::string>() + "/state.db"));
  EXPECT_EQ(lab_->K3saga({"backup", "verify", list[0]["id"]}).exit_code, 0);
}

TEST_F(Backups, ByVeleroComeBeforeTheFirstServer) {
  ASSERT_NO_FATAL_FAILURE(
      Up({.servers = 1, .workers = 1}, "backup: {velero: {namespaces: [kube-system]}}\n"));
  const std::vector<std::string> upgrade = {"upgrade", "--to", kNew, "--yes", "--allow-outage"};

  const auto without = lab_->K3saga(upgrade);
  EXPECT_NE(without.exit_code, 0);
  EXPECT_THAT(without.out + without.err, HasSubstr("no Velero"));
  EXPECT_EQ(lab_->RunningVersions()["s1"], kOld) << "nothing was touched";

  ASSERT_EQ(lab_->Lab({"fault", "velero", "fails"}).exit_code, 0);
  const auto failed = lab_->K3saga(upgrade);
  EXPECT_NE(failed.exit_code, 0);
  EXPECT_THAT(failed.out + failed.err, HasSubstr("PartiallyFailed"));
  EXPECT_EQ(lab_->RunningVersions()["s1"], kOld) << "nothing was touched";
  EXPECT_EQ(InstallerRuns(*lab_, "s1"), 0);

  ASSERT_EQ(lab_->Lab({"fault", "velero", "good"}).exit_code, 0);
  const auto upgraded = lab_->K3saga(upgrade);
  EXPECT_EQ(upgraded.exit_code, 0) << upgraded.out << upgraded.err;
  EXPECT_EQ(lab_->RunningVersions()["s1"], kNew);
  const nlohmann::json backups = Datastore(*lab_).Velero("backups");
  const auto completed = std::find_if(backups.begin(), backups.end(), [](const nlohmann::json& backup) {
    return backup["status"]["phase"] == "Completed";
  });
  ASSERT_NE(completed, backups.end()) << backups;
  EXPECT_THAT((*completed)["metadata"]["name"].get<std::string>(), HasSubstr("pre-upgrade-v1.32.0-k3s1"));
  EXPECT_EQ((*completed)["spec"]["includedNamespaces"], nlohmann::json{"kube-system"});
}

}  // namespace
}  // namespace k3saga::testing
