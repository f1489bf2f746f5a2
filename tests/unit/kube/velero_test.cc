#include "agent/kube/velero.h"

#include "common/reason.h"
#include "tests/support/fake_kubernetes.h"

namespace k3saga::kube {
namespace {

using testing::FakeKubernetes;
using testing::FakeTime;
using ::testing::HasSubstr;

constexpr char kApi[] = "/apis/velero.io/v1";
constexpr char kBackups[] = "/apis/velero.io/v1/namespaces/backups/backups/";
constexpr char kRestores[] = "/apis/velero.io/v1/namespaces/backups/restores/";
constexpr char kStorage[] = "/apis/velero.io/v1/namespaces/backups/backupstoragelocations/default";

class VeleroTest : public ::testing::Test {
 protected:
  void InstallVelero() {
    api_.AddKind(kApi, "backups", "Backup", true);
    api_.AddKind(kApi, "restores", "Restore", true);
    api_.AddKind(kApi, "backupstoragelocations", "BackupStorageLocation", true);
    SetStorage("Available");
  }
  void SetStorage(const std::string& phase) {
    api_.PutObject(kStorage, {{"metadata", {{"name", "default"}, {"namespace", "backups"}}},
                              {"spec", {{"default", true}}},
                              {"status", {{"phase", phase}, {"message", "no bucket"}}}});
  }
  // Velero's controller: the object at `path` goes through these phases, one a look.
  void Run(const std::string& path, std::vector<Json> statuses) {
    api_.before = [this, path, statuses, next = size_t{0}](const std::string& method,
                                                           const std::string& asked) mutable {
      if (method != "GET" || asked != path || next >= statuses.size()) return;
      Json object = api_.Object(path);
      if (object.is_null()) return;
      object["status"] = statuses[next++];
      api_.PutObject(path, object);
    };
  }
  absl::StatusOr<std::string> Backup(const std::string& operation = "r1-7-1") {
    return kube_->VeleroBackup({"pre-upgrade-v1.32.0-k3s1", {"kube-system", "shop"}, "r1", operation},
                               [this](const std::string& said) { said_.push_back(said); },
                               {std::chrono::seconds(60), {}});
  }

  FakeTime time_;
  FakeKubernetes api_{time_};
  std::unique_ptr<Kube> kube_ = MakeKube([this] { return api_.KubeconfigPath(); }, time_, time_);
  std::vector<std::string> said_;
};

TEST_F(VeleroTest, WatchesABackupToItsEnd) {
  InstallVelero();
  const std::string path = std::string(kBackups) + "pre-upgrade-v1.32.0-k3s1";
  Run(path, {{{"phase", "InProgress"}, {"progress", {{"itemsBackedUp", 3}, {"totalItems", 9}}}},
             {{"phase", "Finalizing"}},
             {{"phase", "Completed"}}});
  const auto name = Backup();
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(*name, "pre-upgrade-v1.32.0-k3s1");
  EXPECT_EQ(said_, (std::vector<std::string>{"InProgress, 3 of 9 items", "Finalizing"}));
  const Json backup = api_.Object(path);
  EXPECT_EQ(backup["spec"]["includedNamespaces"], (Json{"kube-system", "shop"}));
  EXPECT_EQ(backup["spec"]["storageLocation"], "default");
  EXPECT_EQ(TextAt(backup, {"metadata", "annotations", "k3saga.io/rollout"}), "r1");
}

TEST_F(VeleroTest, FindsWhatTheSameOperationBegan) {
  InstallVelero();
  const std::string path = std::string(kBackups) + "pre-upgrade-v1.32.0-k3s1";
  Run(path, {{{"phase", "Completed"}}});
  ASSERT_TRUE(Backup().ok());
  ASSERT_TRUE(Backup().ok());
  EXPECT_TRUE(api_.Object(path + "-r1-7-1").is_null());
  // Another operation does not take an old backup for its own.
  Run(path + "-r1-9-1", {{{"phase", "Completed"}}});
  const auto other = Backup("r1-9-1");
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(*other, "pre-upgrade-v1.32.0-k3s1-r1-9-1");
}

TEST_F(VeleroTest, EveryFailureSaysWhatVeleroSaid) {
  InstallVelero();
  const std::string path = std::string(kBackups) + "pre-upgrade-v1.32.0-k3s1";
  const std::pair<Json, const char*> cases[] = {
      {{{"phase", "PartiallyFailed"}, {"errors", 2}}, "PartiallyFailed, 2 errors"},
      {{{"phase", "Failed"}, {"failureReason", "no bucket"}}, "Failed; no bucket"},
      {{{"phase", "FailedValidation"}, {"validationErrors", {"bad namespace"}}}, "bad namespace"},
      {{{"phase", "InProgress"}}, "not at its end in time; last seen: InProgress"},
  };
  for (const auto& [status, detail] : cases) {
    api_.PutObject(path, nullptr);
    Run(path, {status});
    const v1::Reason reason = ReasonOf(Backup().status());
    EXPECT_EQ(reason.code(), v1::VELERO_FAILED);
    EXPECT_THAT(reason.detail(), HasSubstr(detail));
  }
}

TEST_F(VeleroTest, AClusterWithoutVeleroIsTold) {
  EXPECT_THAT(ReasonOf(Backup().status()).detail(), HasSubstr("no Velero"));
  InstallVelero();
  SetStorage("Unavailable");
  EXPECT_THAT(ReasonOf(Backup().status()).detail(), HasSubstr("no bucket"));
  api_.PutObject(kStorage, nullptr);
  EXPECT_THAT(ReasonOf(Backup().status()).detail(), HasSubstr("nowhere to go"));
  EXPECT_TRUE(api_.Log("POST", kApi).empty()) << "nothing was created";
}

TEST_F(VeleroTest, AsksForARestore) {
  InstallVelero();
  api_.PutObject(std::string(kBackups) + "pre-upgrade",
                 {{"metadata", {{"name", "pre-upgrade"}, {"namespace", "backups"}}}});
  const std::string path = std::string(kRestores) + "pre-upgrade-r2-3-1";
  Run(path, {{{"phase", "InProgress"}}, {{"phase", "Completed"}}});
  const absl::Status status =
      kube_->VeleroRestore({"pre-upgrade", "r2", "r2-3-1"}, nullptr, {std::chrono::seconds(60), {}});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(TextAt(api_.Object(path), {"spec", "backupName"}), "pre-upgrade");
}

// The datastore went back to before the Backup's object was created.
TEST_F(VeleroTest, ARestoreWaitsUntilVeleroKnowsTheBackupAgain) {
  InstallVelero();
  const std::string backup = std::string(kBackups) + "pre-upgrade";
  const std::string restore = std::string(kRestores) + "pre-upgrade-r2-3-1";
  int looks = 0;
  api_.before = [&](const std::string& method, const std::string& asked) {
    if (method == "GET" && asked == backup && ++looks == 4) {
      EXPECT_TRUE(api_.Object(restore).is_null()) << "it would fail its validation";
      api_.PutObject(backup, {{"metadata", {{"name", "pre-upgrade"}, {"namespace", "backups"}}}});
    }
    if (method != "GET" || asked != restore || api_.Object(restore).is_null()) return;
    Json object = api_.Object(restore);
    object["status"] = {{"phase", "Completed"}};
    api_.PutObject(restore, object);
  };
  const auto said = [this](const std::string& what) { said_.push_back(what); };
  const absl::Status status =
      kube_->VeleroRestore({"pre-upgrade", "r2", "r2-3-1"}, said, {std::chrono::seconds(60), {}});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(said_, (std::vector<std::string>{"waits for Velero to read the backup from its storage"}));
}

TEST_F(VeleroTest, ABackupThatIsGoneFromTheStorageTooIsNotWaitedForForEver) {
  InstallVelero();
  const absl::Status status =
      kube_->VeleroRestore({"pre-upgrade", "r2", "r2-3-1"}, nullptr, {std::chrono::hours(1), {}});
  EXPECT_EQ(ReasonOf(status).code(), v1::VELERO_FAILED);
  EXPECT_THAT(ReasonOf(status).detail(), HasSubstr("does not know this backup any more"));
  EXPECT_LE(time_.Steady(), std::chrono::minutes(6));
  EXPECT_TRUE(api_.Log("POST", kApi).empty()) << "nothing was created";
}

}  // namespace
}  // namespace k3saga::kube
