#include "agent/node/systemd.h"

#include "tests/unit/node/fake_host.h"

namespace k3saga::node {
namespace {

TEST(Systemd, ReadsWhatShowSays) {
  FakeHost host;
  host.SetStatus("k3s.service", "active", 42);
  auto status = host.systemd().Show("k3s.service");
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_TRUE(status->exists());
  EXPECT_TRUE(status->active());
  EXPECT_EQ(status->Describe(), "active/running");
  EXPECT_EQ(status->main_pid, 42u);
  EXPECT_EQ(status->restarts, 2u);
  EXPECT_EQ(status->exec_main_status, 1);
  EXPECT_EQ(status->exec_main_start_monotonic_us, 77u);
  EXPECT_EQ(status->drop_in_paths, (std::vector<std::string>{"/x/a.conf", "/x/b.conf"}));
  EXPECT_FALSE(host.systemd().Show("nobody.service")->exists());
}

TEST(Systemd, NeverWaitsForAJob) {
  FakeHost host;
  Systemd& systemd = host.systemd();
  ASSERT_TRUE(systemd.Restart("k3s.service").ok());
  ASSERT_TRUE(systemd.Start("k3s.service").ok());
  ASSERT_TRUE(systemd.Stop("k3s.service").ok());
  ASSERT_TRUE(systemd.DaemonReload().ok());
  ASSERT_TRUE(systemd.Enable("k3s.service").ok());
  EXPECT_EQ(*systemd.IsEnabled("k3s.service"), "enabled");
  EXPECT_EQ(*systemd.IsEnabled("other.service"), "disabled");
  EXPECT_EQ(
      host.Calls(),
      (std::vector<std::string>{
          "systemctl restart --no-block k3s.service", "systemctl start --no-block k3s.service",
          "systemctl stop --no-block k3s.service", "systemctl daemon-reload", "systemctl enable k3s.service",
          "systemctl is-enabled k3s.service", "systemctl is-enabled other.service"}));
}

TEST(Systemd, StartsTransientUnits) {
  FakeHost host;
  ASSERT_TRUE(
      host.systemd()
          .RunTransient({"k3saga-op-7", {"RuntimeMaxSec=900"}, {"/usr/bin/k3saga-agent", "operation", "a b"}})
          .ok());
  EXPECT_EQ(
      host.Calls().back(),
      "systemd-run --unit=k3saga-op-7 --collect --quiet --service-type=exec --property=RuntimeMaxSec=900 -- "
      "/usr/bin/k3saga-agent operation a b");
  EXPECT_TRUE(absl::IsAlreadyExists(host.systemd().RunTransient({"twice", {}, {"/bin/true"}})));
}

TEST(Systemd, ErrorsCarryTheToolsOwnWords) {
  FakeHost host;
  const absl::Status status = host.systemd().ResetFailed("k3s.service");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("k3s.service not loaded"));
  EXPECT_EQ(*host.systemd().Journal("k3s.service", 5), "leaderelection lost\n");
}

TEST(Systemd, NoOptionAndNoPathIsAUnit) {
  FakeHost host;
  for (const char* name : {"", "--now", "/etc/systemd/system/k3s.service", "a b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(host.systemd().Restart(name))) << name;
  }
  EXPECT_THAT(host.Calls(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace k3saga::node
