#include "agent/node/keep.h"

#include <sys/stat.h>
#include <unistd.h>

#include "agent/node/k3s_installer.h"
#include "common/reason.h"
#include "tests/unit/node/fake_host.h"

namespace k3saga::node {
namespace {

constexpr char kRollout[] = "20260131-142507-4f2a";

class KeepTest : public ::testing::Test {
 protected:
  KeepTest() : kept_(host_.state(), K3s()) {
    host_.WriteBinary("usr/local/bin/k3s", "v1.31.4+k3s1");
    EXPECT_EQ(symlink("k3s", host_.Path("usr/local/bin/kubectl").c_str()), 0);
    host_.Write("etc/systemd/system/k3s.service",
                "[Service]\nType=notify\nEnvironmentFile=@ROOT@/etc/systemd/system/k3s.service.env\n"
                "ExecStart=@ROOT@/usr/local/bin/k3s server\n");
    host_.Write("etc/systemd/system/k3s.service.env", "K3S_TOKEN=secret\n", 0400);
    host_.SetEnabled("k3s.service", true);
  }

  FakeHost host_;
  KeptFiles kept_;
};

TEST_F(KeepTest, PutsEverythingBack) {
  auto manifest = kept_.Keep(kRollout, host_.Read());
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->version, "v1.31.4+k3s1");
  const std::string unit = host_.Read("etc/systemd/system/k3s.service");

  host_.WriteBinary("usr/local/bin/k3s", "v1.32.0+k3s1");
  host_.Write("etc/systemd/system/k3s.service", "[Service]\nExecStart=/other\n");
  ASSERT_TRUE(RemoveFileDurably(host_.Path("etc/systemd/system/k3s.service.env")).ok());
  ASSERT_TRUE(RemoveFileDurably(host_.Path("usr/local/bin/kubectl")).ok());
  host_.Write("usr/local/bin/crictl", "appeared");
  host_.SetEnabled("k3s.service", false);

  bool changed = false;
  ASSERT_TRUE(kept_.Restore(kRollout, host_.systemd(), &changed).ok());
  EXPECT_TRUE(changed);
  EXPECT_EQ(host_.Read().binary_version, "v1.31.4+k3s1");
  EXPECT_EQ(host_.Read("etc/systemd/system/k3s.service"), unit);
  EXPECT_EQ(host_.Read("etc/systemd/system/k3s.service.env"), "K3S_TOKEN=secret\n");
  struct stat info {};
  ASSERT_EQ(stat(host_.Path("etc/systemd/system/k3s.service.env").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0400u);
  char target[16] = {};
  EXPECT_EQ(readlink(host_.Path("usr/local/bin/kubectl").c_str(), target, sizeof(target)), 3);
  EXPECT_FALSE(Exists(host_.Path("usr/local/bin/crictl")));
  EXPECT_EQ(*host_.systemd().IsEnabled("k3s.service"), "enabled");

  ASSERT_TRUE(kept_.Restore(kRollout, host_.systemd(), &changed).ok());
  EXPECT_FALSE(changed);
}

TEST_F(KeepTest, PutsBackWithoutEnablingWhatStandsStill) {
  ASSERT_TRUE(kept_.Keep(kRollout, host_.Read()).ok());
  EXPECT_EQ(kept_.Peek(kRollout)->version, "v1.31.4+k3s1");
  host_.WriteBinary("usr/local/bin/k3s", "v1.32.0+k3s1");
  host_.SetEnabled("k3s.service", false);
  ASSERT_TRUE(kept_.RestoreStandingStill(kRollout, host_.systemd()).ok());
  EXPECT_EQ(host_.Read().binary_version, "v1.31.4+k3s1");
  EXPECT_EQ(*host_.systemd().IsEnabled("k3s.service"), "disabled");
}

TEST_F(KeepTest, WhatWasKeptFirstStays) {
  ASSERT_TRUE(kept_.Keep(kRollout, host_.Read()).ok());
  host_.WriteBinary("usr/local/bin/k3s", "v1.32.0+k3s1");  // a second attempt finds the new one in place
  auto again = kept_.Keep(kRollout, host_.Read());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->version, "v1.31.4+k3s1");
  EXPECT_EQ(*host_.processes().VersionOfFile(*kept_.KeptCopy(kRollout, host_.Path("usr/local/bin/k3s"))),
            "v1.31.4+k3s1");
}

TEST_F(KeepTest, AHalfKeptRolloutIsNone) {
  ASSERT_TRUE(kept_.Keep(kRollout, host_.Read()).ok());
  const std::string folder = JoinPath(host_.state().Kept(), kRollout);
  ASSERT_TRUE(RemoveFileDurably(folder + "/manifest.json").ok());  // as if it had died before
  EXPECT_EQ(ReasonOf(kept_.Read(kRollout).status()).code(), v1::NOT_KEPT);
  EXPECT_EQ(ReasonOf(kept_.Restore(kRollout, host_.systemd())).code(), v1::NOT_KEPT);
  ASSERT_TRUE(kept_.Keep(kRollout, host_.Read()).ok());
}

TEST_F(KeepTest, ADamagedCopyIsNotPutBack) {
  ASSERT_TRUE(kept_.Keep(kRollout, host_.Read()).ok());
  ASSERT_TRUE(WriteFileDurably(*kept_.KeptCopy(kRollout, host_.Path("usr/local/bin/k3s")), "rot").ok());
  EXPECT_EQ(ReasonOf(kept_.Restore(kRollout, host_.systemd())).code(), v1::NOT_KEPT);
}

TEST_F(KeepTest, RepairsANodeWhoseInstallerDiedAfterDeletingItsUnit) {
  const Installation before = host_.Read();
  ASSERT_TRUE(kept_.Keep(kRollout, before).ok());
  EXPECT_FALSE(*kept_.RepairMissingUnit(host_.systemd()));

  auto call = PlanInstaller(before, host_.StandInInstaller());
  ASSERT_TRUE(call.ok()) << call.status();
  host_.Write("usr/local/bin/die-after-delete", "");
  EXPECT_FALSE(RunInstaller(*call, std::chrono::seconds(60), host_.systemd()).ok());
  EXPECT_FALSE(host_.Read().found());

  auto repaired = kept_.RepairMissingUnit(host_.systemd());
  ASSERT_TRUE(repaired.ok()) << repaired.status();
  EXPECT_TRUE(*repaired);
  const Installation after = host_.Read();
  ASSERT_TRUE(after.found());
  EXPECT_THAT(CompareMeaning(MeaningOf(before), MeaningOf(after)), ::testing::IsEmpty());
}

TEST_F(KeepTest, RestoringTheConfigurationLeavesTheNewBinary) {
  ASSERT_TRUE(kept_.Keep(kRollout, host_.Read()).ok());
  host_.WriteBinary("usr/local/bin/k3s", "v1.32.0+k3s1");
  ASSERT_TRUE(RemoveFileDurably(host_.Path("etc/systemd/system/k3s.service")).ok());
  ASSERT_TRUE(kept_.RestoreConfiguration(kRollout, host_.systemd()).ok());
  EXPECT_TRUE(host_.Read().found());
  EXPECT_EQ(host_.Read().binary_version, "v1.32.0+k3s1");
}

TEST_F(KeepTest, PrunesOldRolloutsButTheNamedOne) {
  for (const char* rollout : {"20250101-a", "20250102-b", "20250103-c", "20250104-d"}) {
    ASSERT_TRUE(kept_.Keep(rollout, host_.Read()).ok());
  }
  ASSERT_TRUE(kept_.Prune(2, "20250101-a").ok());
  EXPECT_EQ(kept_.Rollouts(), (std::vector<std::string>{"20250101-a", "20250103-c", "20250104-d"}));
}

TEST_F(KeepTest, NamesNeverLeaveTheFolder) {
  for (const char* name : {"", "..", "../x", "a/b", ".hidden"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(kept_.Keep(name, host_.Read()).status())) << name;
  }
}

}  // namespace
}  // namespace k3saga::node
