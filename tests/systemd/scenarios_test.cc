// Rollouts on booted hosts with real systemd, our packages and the simulated k3s, with somebody pulling at
// the machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/host/files.h"
#include "lab/base/layout.h"
#include "tests/support/eventually.h"
#include "tests/systemd/rollout.h"
#include "tests/systemd/way_back.h"

namespace k3saga::hosts {
namespace {

using testing::Eventually;

constexpr char kFrom[] = "v1.31.4+k3s1";
constexpr char kTo[] = "v1.32.0+k3s1";
constexpr std::chrono::minutes kRolloutLimit{8};

class Scenario : public ::testing::Test {
 protected:
  // `health_timeout`: how long k3s may take on each node.
  void Start(const std::string& faults = "", const std::string& health_timeout = "2m") {
    SimulatedK3sOptions source{.versions = {kFrom, kTo}};
    if (!faults.empty()) {
      source.faulty_version = kTo;
      source.faults = faults;
    }
    absl::StatusOr<std::unique_ptr<K3sSource>> made = UseSimulatedK3s(source);
    ASSERT_TRUE(made.ok()) << made.status();
    source_ = *std::move(made);
    ClusterOptions options{.version = kFrom, .settle_time = "3s", .health_timeout = health_timeout};
    absl::StatusOr<std::unique_ptr<Cluster>> cluster = Cluster::Start(*source_, options);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    for (const std::string& name : cluster_->nodes()) {
      before_[name] = Must(cluster_->Configuration(name));
    }
  }

  // Hosts are gone afterwards: what they had to say is said here.
  void TearDown() override {
    if (!HasFailure() || cluster_ == nullptr) return;
    for (const std::string& name : cluster_->nodes()) {
      const absl::StatusOr<std::string> words =
          hosts().Output(name, {"journalctl", "--no-pager", "--lines=60", "--output=short-precise",
                                "--unit=k3saga-*", "--unit=k3s*"});
      std::cout << "--- " << name << "\n" << words.value_or("it is not up\n");
    }
  }

  template <typename T>
  static T Must(absl::StatusOr<T> value) {
    EXPECT_TRUE(value.ok()) << value.status();
    return value.ok() ? *std::move(value) : T{};
  }

  Hosts& hosts() { return cluster_->hosts(); }

  std::unique_ptr<Background> Upgrade() {
    return std::make_unique<Background>(cluster_->K3saga({"upgrade", "--to", kTo, "--yes"}),
                                        hosts().folder() + "/upgrade.log");
  }

  // An install on `node` is under way: it keeps what it will replace, and its unit lives.
  bool InstallRuns(const std::string& node) {
    const absl::StatusOr<ProcessResult> result = hosts().Run(
        node, {"sh", "-c",
               "ls /var/lib/k3saga-agent/kept/* >/dev/null 2>&1 && "
               "systemctl list-units --plain --no-legend 'k3saga-operation-*' | grep -q running"});
    return result.ok() && result->ok();
  }
  // What happens in the middle of an install must find it there, on a busy machine too: k3s takes its time on
  // that node.
  void SlowDown(const std::string& node) {
    const std::string faults = absl::StrCat(R"({"start_ms": 15000, "version": ")", kTo, R"("})");
    ASSERT_TRUE(
        hosts().WriteFile(node, absl::StrCat(lab::kMachineLab, "/nodes/", node, "/fault.json"), faults).ok());
  }
  void AwaitInstall(const std::string& node, Background& upgrade) {
    bool runs = false;
    EXPECT_TRUE(Eventually(
        [&] {
          runs = InstallRuns(node);
          return runs || !upgrade.Running();
        },
        kRolloutLimit));
    ASSERT_TRUE(runs) << "no install on " << node << ":\n" << upgrade.Log();
  }

  void ExpectUpgraded(Background& upgrade) {
    const Background::Ended ended = Must(upgrade.Wait(kRolloutLimit));
    EXPECT_EQ(ended.exit_code, 0) << upgrade.Log();
    ExpectNodesAt(kTo);
  }

  void ExpectNodesAt(const std::string& version) {
    for (const std::string& name : cluster_->nodes()) {
      EXPECT_EQ(Must(cluster_->RunningVersion(name)), version) << name;
      EXPECT_EQ(Must(cluster_->Configuration(name)), before_[name])
          << name << ": unit, environment or configuration";
      const ProcessResult operations = Must(
          hosts().Run(name, {"systemctl", "list-units", "--plain", "--no-legend", "k3saga-operation-*"}));
      EXPECT_EQ(operations.out, "") << name;
    }
    EXPECT_TRUE(Eventually(
        [&] {
          const absl::StatusOr<std::vector<KubeNode>> nodes = cluster_->KubeNodes();
          return nodes.ok() && std::all_of(nodes->begin(), nodes->end(), [&](const KubeNode& node) {
                   return node.ready && !node.unschedulable && node.version == version;
                 });
        },
        std::chrono::minutes(1)))
        << "nodes are not all ready, uncordoned and at " << version;
  }

  std::string MainPid(const std::string& node, const std::string& unit) {
    return Must(hosts().Output(node, {"systemctl", "show", "--property=MainPID", "--value", unit}));
  }
  std::unique_ptr<K3sSource> source_;
  std::unique_ptr<Cluster> cluster_;
  std::map<std::string, std::string> before_;
};

TEST_F(Scenario, AWholeRolloutAndBack) {
  Start();
  if (HasFatalFailure()) return;
  ASSERT_TRUE(WriteNote(*cluster_, "before").ok());
  const RolloutReport report = Must(MeasureRollout(*cluster_, kFrom, kTo));
  std::cout << Print(report);
  EXPECT_THAT(Shortcomings(report), ::testing::IsEmpty()) << report.log;
  EXPECT_EQ(report.pods_at_end, 4u);
  EXPECT_GE(report.fewest_pods, 3u);  // the disruption budget

  const WayBackReport back = Must(MeasureWayBack(*cluster_, kFrom));
  std::cout << Print(back);
  EXPECT_THAT(Shortcomings(back), ::testing::IsEmpty()) << back.log;
  ExpectNodesAt(kFrom);
}

TEST_F(Scenario, AReleaseThatNeverGetsReadyGoesBack) {
  Start(R"({"never_ready": true})", "30s");
  if (HasFatalFailure()) return;
  const std::unique_ptr<Background> upgrade = Upgrade();
  const Background::Ended ended = Must(upgrade->Wait(kRolloutLimit));
  EXPECT_EQ(ended.exit_code, 1) << upgrade->Log();
  ExpectNodesAt(kFrom);
  // The cluster takes the next rollout.
  const ProcessResult status = Must(cluster_->RunK3saga({"status"}));
  EXPECT_TRUE(status.ok()) << status.Describe();
}

TEST_F(Scenario, AnAgentKilledInTheMiddleOfAnInstall) {
  Start();
  if (HasFatalFailure()) return;
  SlowDown("s2");
  const std::unique_ptr<Background> upgrade = Upgrade();
  AwaitInstall("s2", *upgrade);
  const std::string agent = MainPid("s2", "k3saga-agent");
  ASSERT_TRUE(Must(hosts().Run("s2", {"systemctl", "kill", "--signal=KILL", "k3saga-agent"})).ok());
  EXPECT_TRUE(InstallRuns("s2")) << "the operation ended with the agent";
  ExpectUpgraded(*upgrade);
  EXPECT_NE(MainPid("s2", "k3saga-agent"), agent);  // systemd brought it back
}

TEST_F(Scenario, AServerThatLosesPowerInTheMiddleOfAnInstall) {
  Start();
  if (HasFatalFailure()) return;
  SlowDown("s2");
  const std::unique_ptr<Background> upgrade = Upgrade();
  AwaitInstall("s2", *upgrade);
  ASSERT_TRUE(hosts().Unplug("s2").ok());
  ASSERT_TRUE(hosts().PowerOn("s2").ok());
  ExpectUpgraded(*upgrade);
}

TEST_F(Scenario, AWorkerThatRebootsInTheMiddleOfAnInstall) {
  Start();
  if (HasFatalFailure()) return;
  SlowDown("w1");
  const std::unique_ptr<Background> upgrade = Upgrade();
  AwaitInstall("w1", *upgrade);
  (void)hosts().Run("w1", {"systemctl", "reboot"});
  ExpectUpgraded(*upgrade);
}

TEST_F(Scenario, APackageUpgradeInTheMiddleOfARollout) {
  Start();
  if (HasFatalFailure()) return;
  // The same package under a later version.
  const std::string script = absl::StrCat(
      "set -e; cd /tmp; dpkg-deb --raw-extract ", kPackagesOnHost,
      "/k3saga-agent_*.deb next; "
      "sed -i 's/^Version: .*/&.next1/' next/DEBIAN/control; dpkg-deb --build next next.deb >/dev/null");
  ASSERT_TRUE(hosts().Output("s2", {"bash", "-c", script}).status().ok());
  SlowDown("s2");
  const std::unique_ptr<Background> upgrade = Upgrade();
  AwaitInstall("s2", *upgrade);
  const std::string agent = MainPid("s2", "k3saga-agent");
  const ProcessResult installed = Must(hosts().Run("s2", {"dpkg", "--install", "/tmp/next.deb"}));
  EXPECT_TRUE(installed.ok()) << installed.Describe();
  EXPECT_THAT(installed.out, ::testing::HasSubstr("waiting until it has settled"));
  EXPECT_NE(MainPid("s2", "k3saga-agent"), agent);
  ExpectUpgraded(*upgrade);
  EXPECT_THAT(Must(hosts().Output("s2", {"dpkg-query", "--show", "k3saga-agent"})),
              ::testing::HasSubstr("next1"));
}

TEST_F(Scenario, AHostCutOffForAMinute) {
  Start("", "5m");  // the default: an install outlives the minute
  if (HasFatalFailure()) return;
  SlowDown("w1");
  const std::unique_ptr<Background> upgrade = Upgrade();
  AwaitInstall("w1", *upgrade);
  ASSERT_TRUE(hosts().CutNetwork("w1").ok());
  // The very thing under test is that a minute passes: nothing to wait for.
  EXPECT_FALSE(Eventually([&] { return !upgrade->Running(); }, std::chrono::minutes(1)))
      << "ended while a node was cut off:\n"
      << upgrade->Log();
  ASSERT_TRUE(hosts().MendNetwork("w1").ok());
  ExpectUpgraded(*upgrade);
}

// docs/install.md, "On a machine that stays on": a power cut, then an orderly reboot, and nobody types
// anything.
TEST_F(Scenario, ARolloutGoesOnWhenItsOwnMachineComesBack) {
  Start();
  if (HasFatalFailure()) return;
  const std::string move =
      "set -e; install --directory --owner=k3saga --group=k3saga --mode=0700 /var/lib/k3saga/home; "
      "cp -r /root/cluster/. /var/lib/k3saga/home; chown -R k3saga:k3saga /var/lib/k3saga; "
      "systemctl enable --quiet k3saga@home";
  ASSERT_TRUE(hosts().Output(kOperator, {"sh", "-c", move}).status().ok());
  const std::string file = "/var/lib/k3saga/home/cluster.yaml";
  const auto says = [&](const std::string& command) {
    const absl::StatusOr<ProcessResult> result = hosts().Run(kOperator, {"sh", "-c", command});
    return result.ok() ? result->out : "";
  };
  SlowDown("s2");
  SlowDown("w1");
  Background upgrade(hosts().CommandIn(kOperator, {"k3saga", "-f", file, "upgrade", "--to", kTo, "--yes"}),
                     hosts().folder() + "/upgrade.log");
  AwaitInstall("s2", upgrade);
  // Root and the user see the same rollout, and may talk to it.
  EXPECT_THAT(says(absl::StrCat("k3saga -f ", file, " status")), ::testing::HasSubstr("Run by k3saga@"));
  EXPECT_THAT(says(absl::StrCat("su -s /bin/sh k3saga -c 'k3saga -f ", file, " resume --unattended'")),
              ::testing::HasSubstr("is run by k3saga@"));
  ASSERT_TRUE(hosts().Unplug(kOperator).ok());
  ASSERT_TRUE(upgrade.Wait(std::chrono::minutes(1)).ok());
  ASSERT_TRUE(hosts().PowerOn(kOperator).ok());

  ASSERT_TRUE(Eventually([&] { return InstallRuns("w1"); }, kRolloutLimit))
      << says("journalctl --no-pager --unit=k3saga@home");
  // The service's socket is found from outside of its sandbox.
  EXPECT_THAT(says(absl::StrCat("cd /var/lib/k3saga/home && k3saga resume --unattended")),
              ::testing::HasSubstr("is run by k3saga@"));
  (void)hosts().Run(kOperator, {"systemctl", "reboot"});
  EXPECT_TRUE(Eventually(
      [&] {
        return says("systemctl show --property=ExecMainCode,ExecMainStatus k3saga@home") ==
               "ExecMainCode=1\nExecMainStatus=0\n";
      },
      kRolloutLimit))
      << says("journalctl --no-pager --unit=k3saga@home");
  EXPECT_EQ(says("systemctl show -P Result k3saga@home"), "success\n");
  EXPECT_THAT(says(absl::StrCat("k3saga -f ", file, " status")), ::testing::HasSubstr("Done"));
  EXPECT_EQ(says(absl::StrCat("k3saga -f ", file, " history export | grep -c '\"resumed\"'")), "2\n");
  EXPECT_EQ(says("find /var/lib/k3saga ! -user k3saga; ls -d /root/.local"), "") << "root's own files";
  ExpectNodesAt(kTo);
}

}  // namespace
}  // namespace k3saga::hosts

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  if (const auto code = k3saga::hosts::ExitWhereImpossible()) return *code;
  return RUN_ALL_TESTS();
}
