// The packages by themselves, on booted hosts without k3s: what a Debian user expects of install, upgrade,
// remove, purge.
#include <gtest/gtest.h>

#include "tests/systemd/cluster.h"

namespace k3saga::hosts {
namespace {

class PackageTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const absl::StatusOr<std::vector<std::string>> dependencies = DependenciesOfPackages();
    ASSERT_TRUE(dependencies.ok()) << dependencies.status();
    HostsOptions options{.names = {"node"},
                         .debian_packages = *dependencies,
                         .read_only = {{PackagesFolder(), kPackagesOnHost}}};
    absl::StatusOr<std::unique_ptr<Hosts>> booted = Hosts::Boot(options);
    ASSERT_TRUE(booted.ok()) << booted.status();
    hosts_ = booted->release();
  }
  static void TearDownTestSuite() {
    delete hosts_;
    hosts_ = nullptr;
  }

  // On the host, by its shell; what it printed and its exit status.
  static ProcessResult Shell(const std::string& script) {
    absl::StatusOr<ProcessResult> result = hosts_->Run("node", {"bash", "-c", script});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok()
               ? *std::move(result)
               : ProcessResult{.exit_code = 255, .signal = 0, .out = "", .err = "", .truncated = false};
  }
  static bool Holds(const std::string& script) { return Shell(script).ok(); }
  static void Do(const std::string& script) {
    const ProcessResult result = Shell(script);
    ASSERT_TRUE(result.ok()) << script << ": " << result.Describe() << "\n" << result.out << result.err;
  }
  static void Install(const std::string& package) {
    Do(absl::StrCat("dpkg --install ", kPackagesOnHost, "/", package, "_*.deb"));
  }

  static Hosts* hosts_;
};
Hosts* PackageTest::hosts_ = nullptr;

TEST_F(PackageTest, TheAgentLivesAsDebianUsersExpect) {
  Install("k3saga-agent");
  EXPECT_TRUE(Holds("k3saga-agent --version"));
  EXPECT_TRUE(Holds("systemctl is-enabled --quiet k3saga-agent"));
  // Without an identity it waits, and nothing has failed.
  EXPECT_FALSE(Holds("systemctl is-active --quiet k3saga-agent"));
  EXPECT_FALSE(Holds("systemctl is-failed --quiet k3saga-agent"));
  EXPECT_TRUE(Holds("systemd-analyze verify --man=no k3saga-agent.service"));

  // An identity, and it serves; systemd heard it say so.
  Install("k3saga");
  Do("cd /root && k3saga init --name test --node node=server@127.0.0.1 && k3saga identity agent node && "
     "cp identity/node/* /etc/k3saga/ && sed -i 's/^node:.*/node: node/' /etc/k3saga/agent.yaml && "
     "systemctl start k3saga-agent");
  EXPECT_TRUE(Holds("systemctl is-active --quiet k3saga-agent"));
  EXPECT_EQ(Shell("stat -c %a /etc/k3saga/agent.key").out, "600\n");
  EXPECT_EQ(Shell("stat -c %a /var/lib/k3saga-agent").out, "700\n");
  EXPECT_TRUE(Holds("cd /root && k3saga nodes; [ $? -le 1 ]"));  // it answers, although there is no k3s

  // An upgrade restarts the agent, and keeps the changed configuration without asking.
  const std::string first = Shell("systemctl show --property=MainPID --value k3saga-agent").out;
  Do(absl::StrCat("cd /tmp && dpkg-deb --raw-extract ", kPackagesOnHost,
                  "/k3saga-agent_*.deb next && sed -i 's/^Version: .*/&.next1/' next/DEBIAN/control && "
                  "dpkg-deb --build next next.deb && dpkg --install next.deb </dev/null"));
  EXPECT_TRUE(Holds("systemctl is-active --quiet k3saga-agent"));
  EXPECT_NE(Shell("systemctl show --property=MainPID --value k3saga-agent").out, first);
  EXPECT_TRUE(Holds("grep -q '^node: node' /etc/k3saga/agent.yaml"));

  // Not while an operation changes the node.
  Do("systemd-run --unit=k3saga-operation-test --collect --quiet --service-type=exec -- sleep infinity");
  EXPECT_FALSE(Holds("dpkg --remove k3saga-agent"));
  EXPECT_TRUE(Holds("systemctl is-active --quiet k3saga-agent"));
  Do("systemctl stop k3saga-operation-test");

  // Removed: stopped, but configuration, identity and state stay. Purged: gone.
  Do("dpkg --remove k3saga-agent");
  EXPECT_FALSE(Holds("systemctl is-active --quiet k3saga-agent"));
  EXPECT_TRUE(
      Holds("test -e /etc/k3saga/agent.yaml -a -e /etc/k3saga/agent.key -a -d /var/lib/k3saga-agent"));
  Do("dpkg --purge k3saga-agent");
  EXPECT_FALSE(Holds(
      "test -e /etc/k3saga -o -e /var/lib/k3saga-agent -o -e /usr/lib/systemd/system/k3saga-agent.service"));
  EXPECT_EQ(Shell("find /etc/systemd /var/lib/systemd/deb-systemd-helper* -name '*k3saga*'").out, "");
}

TEST_F(PackageTest, ADisabledAgentStaysDisabled) {
  Install("k3saga-agent");
  Do("systemctl disable --quiet k3saga-agent");
  Install("k3saga-agent");
  EXPECT_FALSE(Holds("systemctl is-enabled --quiet k3saga-agent"));
  Do("dpkg --purge k3saga-agent");
}

}  // namespace
}  // namespace k3saga::hosts

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (const auto code = k3saga::hosts::ExitWhereImpossible()) return *code;
  return RUN_ALL_TESTS();
}
