// Past the point of no return with real etcd: an upgrade that goes back by itself, with the datastore, and
// what Velero took beside it.

#include "common/host/files.h"
#include "tests/e2e/datastore.h"
#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

using ::testing::HasSubstr;
using Versions = std::map<std::string, std::string>;

std::vector<std::string> PhasesOf(const nlohmann::json& objects) {
  std::vector<std::string> phases;
  for (const nlohmann::json& object : objects) phases.push_back(object["status"].value("phase", ""));
  return phases;
}

// Every server serves the new minor when the last one's Node turns out never to get Ready: binaries alone do
// not lead back any more, and the user has agreed beforehand to what that means.
TEST(PastReturn, AFailureBringsTheDatastoreBackWhereThatWasAgreedTo) {
  auto up = LabCluster::Up({.servers = 3, .workers = 1, .up_arguments = {"--health-timeout", "20s"}});
  ASSERT_TRUE(up.ok()) << up.status();
  LabCluster& lab = **up;
  AppendToClusterFile(lab, "backup: {restore_on_failure: true, velero: {namespaces: [kube-system]}}\n");
  ASSERT_EQ(lab.Lab({"fault", "velero", "good"}).exit_code, 0);
  Datastore datastore(lab);
  ASSERT_TRUE(datastore.Note("before"));
  const auto units = UnitsOf(lab, {"s1", "s2", "s3", "w1"});
  const std::string last = LeaderOf(lab);  // etcd's leader goes last
  ASSERT_EQ(lab.Lab({"fault", "node", last, "node-not-ready", "--only", kNew}).exit_code, 0);

  ChildProcess upgrade = lab.StartK3saga({"upgrade", "--to", kNew, "--yes"}, "upgrade.log");
  // The backup is behind us: what is written from here on is what will be lost.
  ASSERT_TRUE(
      Eventually([&] { return lab.Log("upgrade.log").find("== Upgrade servers") != std::string::npos; }));
  ASSERT_TRUE(Eventually([&] { return datastore.Note("after"); }));
  EXPECT_EQ(upgrade.Wait(std::chrono::seconds(300)), 1) << lab.Log("upgrade.log");

  EXPECT_EQ(StateOf(lab), "compensated") << lab.Log("upgrade.log");
  EXPECT_EQ(lab.RunningVersions(), (Versions{{"s1", kOld}, {"s2", kOld}, {"s3", kOld}, {"w1", kOld}}));
  EXPECT_TRUE(datastore.HasNote("before"));
  EXPECT_FALSE(datastore.HasNote("after"));
  EXPECT_EQ(MembersOf(lab), (std::map<std::string, size_t>{{"s1", 3}, {"s2", 3}, {"s3", 3}}));
  EXPECT_EQ(UnitsOf(lab, {"s1", "s2", "s3", "w1"}), units);
  EXPECT_TRUE(Cordoned(lab).empty());
  // The Backup's object is younger than the snapshot: Velero read it from its storage again.
  EXPECT_EQ(PhasesOf(datastore.Velero("restores")), std::vector<std::string>{"Completed"});

  const std::string history = HistoryOf(lab);
  for (const char* shown : {"Restore datastore", "Rejoin servers", "point of no return: every server runs",
                            "Velero restore of"}) {
    EXPECT_THAT(history, HasSubstr(shown));
  }
  EXPECT_THAT(history, HasSubstr(last));
  EXPECT_THAT(history, HasSubstr("Lost: everything written to the cluster since"));
  const nlohmann::json status = lab.K3sagaJson({"status"});
  EXPECT_TRUE(status["past_point_of_no_return"]);
  EXPECT_TRUE(status["lost_since"].is_string());
}

// The server that took the backup has lost it, and the process dies before the datastore is back: whoever
// goes on brings the copy of this machine there.
TEST(PastReturn, TheDatastoreComesBackFromTheCopyWhereItsServerLostTheBackup) {
  auto up = LabCluster::Up({.servers = 3, .workers = 0, .up_arguments = {"--health-timeout", "20s"}});
  ASSERT_TRUE(up.ok()) << up.status();
  LabCluster& lab = **up;
  AppendToClusterFile(lab, "backup: {restore_on_failure: true, copy_to: copies}\n");
  Datastore datastore(lab);
  ASSERT_TRUE(datastore.Note("before"));
  ASSERT_EQ(lab.Lab({"fault", "node", LeaderOf(lab), "node-not-ready", "--only", kNew}).exit_code, 0);

  ChildProcess upgrade = lab.StartK3saga({"upgrade", "--to", kNew, "--yes"}, "upgrade.log");
  const auto said = [&](const std::string& words) {
    return Eventually([&] { return lab.Log("upgrade.log").find(words) != std::string::npos; },
                      std::chrono::seconds(240));
  };
  ASSERT_TRUE(said("== Upgrade servers")) << lab.Log("upgrade.log");
  ASSERT_TRUE(Eventually([&] { return datastore.Note("after"); }));
  const nlohmann::json backup = lab.K3sagaJson({"backups"})["backups"][0];
  const std::string node = backup["node"];
  ASSERT_TRUE(RemoveTree(lab.Path("nodes/" + node + "/root/var/lib/k3saga-agent/backups/" +
                                  backup["id"].get<std::string>()))
                  .ok());
  ASSERT_TRUE(said("== Stop servers")) << lab.Log("upgrade.log");
  upgrade.Kill();

  const auto resume = lab.K3saga({"resume"});
  EXPECT_EQ(resume.exit_code, 1) << resume.out << resume.err;
  EXPECT_EQ(StateOf(lab), "compensated") << resume.out << resume.err;
  EXPECT_EQ(lab.RunningVersions(), (Versions{{"s1", kOld}, {"s2", kOld}, {"s3", kOld}}));
  EXPECT_TRUE(datastore.HasNote("before"));
  EXPECT_FALSE(datastore.HasNote("after"));
  EXPECT_EQ(MembersOf(lab), (std::map<std::string, size_t>{{"s1", 3}, {"s2", 3}, {"s3", 3}}));
  const auto verified = lab.K3saga({"backup", "verify", backup["id"].get<std::string>()});
  EXPECT_EQ(verified.exit_code, 0) << verified.out;
  EXPECT_THAT(verified.out, HasSubstr(node + ": every file is as it was taken")) << "it has it again";
}

// A Velero restore that fails is said, and undoes nothing: one SQLite server, back over a minor version.
TEST(PastReturn, AVeleroRestoreThatFailsIsSaid) {
  auto up = LabCluster::Up({.servers = 1, .workers = 0, .up_arguments = {"--sqlite"}});
  ASSERT_TRUE(up.ok()) << up.status();
  LabCluster& lab = **up;
  AppendToClusterFile(lab, "backup: {velero: {namespaces: [kube-system]}}\n");
  ASSERT_EQ(lab.Lab({"fault", "velero", "restores-fail"}).exit_code, 0);
  Datastore datastore(lab);
  ASSERT_TRUE(datastore.Note("before"));
  const auto upgrade = lab.K3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"});
  ASSERT_EQ(upgrade.exit_code, 0) << upgrade.out << upgrade.err;
  ASSERT_TRUE(datastore.Note("after"));

  const auto rollback = lab.K3saga({"rollback", "--yes", "--accept-data-loss"});
  EXPECT_EQ(rollback.exit_code, 1) << rollback.out << rollback.err;
  EXPECT_THAT(rollback.out, HasSubstr("PartiallyFailed, 12 of 12 items, 2 errors"));
  EXPECT_EQ(StateOf(lab), "stopped");
  EXPECT_EQ(PhasesOf(datastore.Velero("restores")), std::vector<std::string>{"PartiallyFailed"});
  EXPECT_EQ(lab.RunningVersions(), (Versions{{"s1", kOld}}));
  EXPECT_TRUE(datastore.HasNote("before"));
  EXPECT_FALSE(datastore.HasNote("after"));
}

}  // namespace
}  // namespace k3saga::testing
