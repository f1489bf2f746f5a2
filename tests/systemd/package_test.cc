// The packages by themselves, on booted hosts without k3s: what a Debian user expects of install, upgrade,
// remove, purge.
#include <gtest/gtest.h>

#include "tests/support/eventually.h"
#include "tests/systemd/cluster.h"

namespace k3saga::hosts {
namespace {

using testing::Eventually;

constexpr std::chrono::seconds kSoon(60);

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
  static bool IsActive() { return Holds("systemctl is-active --quiet k3saga-agent"); }
  static std::string MainPid() { return Shell("systemctl show -P MainPID k3saga-agent").out; }

  // What docs/install.md says, for this one node.
  static void GiveIdentity() {
    Install("k3saga");
    Do("rm -rf /root/lab && mkdir /root/lab && cd /root/lab && "
       "k3saga init --name test --node node=server@127.0.0.1 && k3saga identity agent node && "
       "cp identity/node/* /etc/k3saga/ && sed -i 's/^node:.*/node: node/' /etc/k3saga/agent.yaml && "
       "systemctl start k3saga-agent");
  }
  // The agent's package under a later version, with another default configuration: /tmp/next.deb.
  static void MakeNext() {
    Do(absl::StrCat("cd /tmp && rm -rf next && dpkg-deb --raw-extract ", kPackagesOnHost,
                    "/k3saga-agent_*.deb next && sed -i 's/^Version: .*/&.next1/' next/DEBIAN/control && "
                    "echo '# a new default' >>next/etc/k3saga/agent.yaml && dpkg-deb --build next next.deb"));
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
  EXPECT_EQ(Shell("stat -c %a /var/lib/k3saga-agent /var/lib/k3saga-agent/kept").out, "700\n700\n");
  // Neither waits for k3s nor goes with it.
  EXPECT_FALSE(
      Holds("systemctl show --property=Requires,Wants,BindsTo,PartOf,After k3saga-agent | grep -w k3s"));

  // An identity, and it serves; systemd heard it say so.
  GiveIdentity();
  EXPECT_TRUE(IsActive());
  EXPECT_EQ(Shell("stat -c %a /etc/k3saga/agent.key").out, "600\n");
  EXPECT_EQ(Shell("stat -c %a /var/lib/k3saga-agent").out, "700\n");
  EXPECT_TRUE(Holds("cd /root/lab && k3saga nodes; [ $? -le 1 ]"));  // it answers, although there is no k3s

  // An upgrade restarts the agent; a changed configuration stays, the new default lies beside it.
  const std::string first = MainPid();
  MakeNext();
  Do("dpkg --force-confold --install /tmp/next.deb </dev/null");
  EXPECT_TRUE(IsActive());
  EXPECT_NE(MainPid(), first);
  EXPECT_TRUE(Holds("grep -q '^node: node' /etc/k3saga/agent.yaml"));
  EXPECT_TRUE(Holds("grep -q 'a new default' /etc/k3saga/agent.yaml.dpkg-dist"));

  // Not while an operation changes the node.
  Do("systemd-run --unit=k3saga-operation-test --collect --quiet --service-type=exec -- sleep infinity");
  EXPECT_FALSE(Holds("dpkg --remove k3saga-agent"));
  EXPECT_TRUE(IsActive());
  Do("systemctl stop k3saga-operation-test");

  // Removed: stopped, but configuration, identity and state stay, and serve again when it comes back. Purged:
  // gone.
  Do("dpkg --remove k3saga-agent");
  EXPECT_FALSE(IsActive());
  EXPECT_TRUE(
      Holds("test -e /etc/k3saga/agent.yaml -a -e /etc/k3saga/agent.key -a -d /var/lib/k3saga-agent"));
  Do("dpkg --force-confold --install /tmp/next.deb </dev/null");
  EXPECT_TRUE(IsActive());
  Do("dpkg --purge k3saga-agent");
  EXPECT_FALSE(IsActive());
  EXPECT_FALSE(Holds(
      "test -e /etc/k3saga -o -e /var/lib/k3saga-agent -o -e /usr/lib/systemd/system/k3saga-agent.service"));
  EXPECT_EQ(Shell("find /etc/systemd /var/lib/systemd/deb-systemd-helper* -name '*k3saga*'").out, "");
}

TEST_F(PackageTest, AnUpgradeLetsARunningOperationSettleFirst) {
  Install("k3saga-agent");
  GiveIdentity();
  MakeNext();
  const std::string agent = MainPid();
  Do("rm -f /tmp/end && mkfifo /tmp/end && "
     "systemd-run --unit=k3saga-operation-test --collect --quiet --service-type=exec -- cat /tmp/end");
  Do("systemd-run --unit=upgrade --quiet --remain-after-exit -- "
     "bash -c 'dpkg --force-confold --install /tmp/next.deb >/tmp/upgrade.log 2>&1'");
  EXPECT_TRUE(
      Eventually([] { return Holds("grep -q 'waiting until it has settled' /tmp/upgrade.log"); }, kSoon));
  EXPECT_EQ(MainPid(), agent);
  EXPECT_FALSE(Holds("dpkg-query --show k3saga-agent | grep next1"));
  Do("echo done >/tmp/end");
  EXPECT_TRUE(Eventually([] { return Holds("systemctl show -P SubState upgrade | grep -w exited"); }, kSoon))
      << Shell("cat /tmp/upgrade.log").out;
  EXPECT_TRUE(
      Holds("dpkg-query --show --showformat '${Status} ${Version}' k3saga-agent | "
            "grep 'install ok installed .*next1'"));
  EXPECT_TRUE(IsActive());
  EXPECT_NE(MainPid(), agent);
  Do("systemctl stop upgrade; dpkg --purge k3saga-agent");
}

TEST_F(PackageTest, AnAgentThatHangsIsStartedAnew) {
  Install("k3saga-agent");
  GiveIdentity();
  EXPECT_EQ(Shell("systemctl show -P WatchdogUSec k3saga-agent").out, "30s\n");
  // The same, sooner.
  Do("mkdir -p /run/systemd/system/k3saga-agent.service.d && printf "
     "'[Service]\\nWatchdogSec=5\\nTimeoutAbortSec=1\\n' "
     ">/run/systemd/system/k3saga-agent.service.d/sooner.conf && systemctl daemon-reload && systemctl "
     "restart k3saga-agent");
  const std::string hanging = MainPid();
  Do("kill -STOP $(systemctl show -P MainPID k3saga-agent)");
  EXPECT_TRUE(Eventually([&] { return MainPid() != hanging && IsActive(); }, kSoon));
  Do("rm -r /run/systemd/system/k3saga-agent.service.d && systemctl daemon-reload && dpkg --purge "
     "k3saga-agent");
}

// docs/install.md, "On a machine that stays on".
TEST_F(PackageTest, TheCoordinatorHasAUserAFolderAndAServiceOfItsOwn) {
  Install("k3saga");
  EXPECT_EQ(Shell("getent passwd k3saga | cut -d: -f5-7").out,
            "k3saga coordinator:/var/lib/k3saga:/usr/sbin/nologin\n");
  EXPECT_EQ(Shell("stat -c '%a %U %G' /var/lib/k3saga").out, "700 k3saga k3saga\n");
  EXPECT_FALSE(Holds("runuser -u nobody -- ls /var/lib/k3saga"));
  EXPECT_TRUE(Holds("systemd-analyze verify --man=no k3saga@home.service"));

  // Root acts as that user there; nothing of its own lies among the user's files, or at root's.
  Do("install --directory --owner=k3saga --group=k3saga --mode=0700 /var/lib/k3saga/home");
  Do("cd /var/lib/k3saga/home && k3saga init --name home --node node=server@127.0.0.1 && "
     "k3saga identity agent node");
  EXPECT_TRUE(Holds("k3saga -f /var/lib/k3saga/home/cluster.yaml nodes; [ $? -eq 1 ]"));  // no agent answers
  EXPECT_EQ(Shell("find /var/lib/k3saga ! -user k3saga").out, "");
  EXPECT_EQ(Shell("stat -c %a /var/lib/k3saga/home/identity/ca.key").out, "600\n");

  // Nothing is unfinished: it ends at once, well. A cluster that is not there is said.
  Do("systemctl enable --quiet k3saga@home && systemctl start k3saga@home");
  EXPECT_TRUE(
      Eventually([] { return Holds("systemctl show -P ActiveState k3saga@home | grep inactive"); }, kSoon));
  EXPECT_EQ(Shell("systemctl show -P Result k3saga@home").out, "success\n");
  EXPECT_TRUE(Holds("journalctl --unit=k3saga@home | grep 'No rollout yet'"));
  (void)Shell("systemctl start k3saga@nowhere");
  EXPECT_TRUE(Eventually([] { return Holds("systemctl is-failed --quiet k3saga@nowhere"); }, kSoon));

  // Upgraded, it stays as it is. Purged: programs go; the user, its clusters and their keys do not.
  Install("k3saga");
  EXPECT_TRUE(Holds("systemctl is-enabled --quiet k3saga@home"));
  const ProcessResult purge = Shell("dpkg --purge k3saga");
  EXPECT_TRUE(purge.ok()) << purge.err;
  EXPECT_NE(purge.out.find("/var/lib/k3saga holds clusters' keys"), std::string::npos) << purge.out;
  EXPECT_TRUE(Holds("getent passwd k3saga && test -f /var/lib/k3saga/home/identity/ca.key"));
  EXPECT_EQ(Shell("find /etc/systemd /usr/lib/systemd -name 'k3saga@*'").out, "");
  Do("rm -rf /var/lib/k3saga/home");
  Install("k3saga");
  Do("dpkg --purge k3saga && test ! -e /var/lib/k3saga");
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
