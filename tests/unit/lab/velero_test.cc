#include "lab/k3s/velero.h"

#include "tests/unit/common/temp_dir.h"

namespace k3saga::lab {
namespace {

class VeleroStandIn : public ::testing::Test {
 protected:
  static Resource Kind(const std::string& plural, const std::string& kind) {
    return {"velero.io", "v1", plural, kind, true, true};
  }
  void Behave(const std::string& mode) {
    (void)objects_.Remove(locations_, VeleroStorage(mode));
    ASSERT_TRUE(objects_.Create(locations_, VeleroStorage(mode)).ok());
  }
  void Ask(const Resource& kind, const std::string& name, const json& spec = json::object()) {
    const json metadata = {{"name", name}, {"namespace", "velero"}};
    ASSERT_TRUE(objects_.Create(kind, {{"metadata", metadata}, {"spec", spec}}).ok());
  }
  void Pass(int passes = 1) {
    for (int i = 0; i < passes; ++i) ASSERT_TRUE(RunVelero(objects_, storage_.path()).ok());
  }
  std::string PhaseOf(const Resource& kind, const std::string& name) {
    const auto object = objects_.Get(kind, "velero", name);
    return object.ok() ? TextAt(*object, {"status", "phase"}) : "(none)";
  }

  TempDir storage_;
  MemoryStore store_;
  ObjectStore objects_{store_};
  const Resource backups_ = Kind("backups", "Backup");
  const Resource restores_ = Kind("restores", "Restore");
  const Resource locations_ = Kind("backupstoragelocations", "BackupStorageLocation");
};

TEST_F(VeleroStandIn, BringsABackupToItsEnd) {
  Ask(backups_, "b1");
  Pass();
  EXPECT_EQ(PhaseOf(backups_, "b1"), "") << "nobody is there to do it";
  Behave("hangs");
  Pass(3);
  EXPECT_EQ(PhaseOf(backups_, "b1"), "InProgress");
  Behave("good");
  Pass();
  EXPECT_EQ(PhaseOf(backups_, "b1"), "Completed");
}

TEST_F(VeleroStandIn, KnowsItsBackupsAgainAfterTheClusterForgotThem) {
  Behave("good");
  Ask(backups_, "b1");
  Pass(3);
  ASSERT_TRUE(objects_.Remove(backups_, *objects_.Get(backups_, "velero", "b1")).ok());
  Ask(restores_, "early", {{"backupName", "b1"}});
  Pass();
  EXPECT_EQ(PhaseOf(restores_, "early"), "FailedValidation") << "as real Velero does";
  EXPECT_EQ(PhaseOf(backups_, "b1"), "Completed");
  Ask(restores_, "later", {{"backupName", "b1"}});
  Pass(2);
  EXPECT_EQ(PhaseOf(restores_, "later"), "Completed");
  EXPECT_EQ(PhaseOf(restores_, "early"), "FailedValidation");
}

TEST_F(VeleroStandIn, FailsWhatItIsToldToFail) {
  Behave("restores-fail");
  Ask(backups_, "b1");
  Ask(restores_, "r1", {{"backupName", "b1"}});
  Pass(2);
  EXPECT_EQ(PhaseOf(backups_, "b1"), "Completed");
  EXPECT_EQ(PhaseOf(restores_, "r1"), "PartiallyFailed");
  Behave("fails");
  Ask(backups_, "b2");
  Pass(2);
  EXPECT_EQ(PhaseOf(backups_, "b2"), "PartiallyFailed");
}

}  // namespace
}  // namespace k3saga::lab
