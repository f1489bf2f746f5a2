// Each fault of the lab, at a server and at a worker: what the rollout ends with, and what every node is left
// like.

#include <ostream>

#include "common/host/files.h"
#include "tests/e2e/datastore.h"
#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

constexpr std::chrono::minutes kLong{5};

struct Fault {
  std::string name;
  std::vector<std::vector<std::string>> inject;  // arguments of `k3saga-lab fault`
  std::string state;                             // how the rollout ends
  std::map<std::string, std::string> versions;
  std::vector<std::string> cordoned = {};
  std::string in_history = {};                                         // words that `history` shows
  std::vector<std::string> up = {};                                    // further arguments of `k3saga-lab up`
  std::vector<std::pair<std::string, std::string>> cluster_file = {};  // text to replace in cluster.yaml
  std::vector<std::vector<std::string>> inject_later = {};  // like `inject`, once the rollout has begun
  friend std::ostream& operator<<(std::ostream& out, const Fault& fault) { return out << fault.name; }
};

std::map<std::string, std::string> All(const std::string& version) {
  return {{"s1", version}, {"s2", version}, {"s3", version}, {"w1", version}};
}

std::map<std::string, std::string> ServersNewAnd(const std::string& worker) {
  return {{"s1", kNew}, {"s2", kNew}, {"s3", kNew}, {"w1", worker}};
}

void EditClusterFile(const LabCluster& lab,
                     const std::vector<std::pair<std::string, std::string>>& replacements) {
  const std::string path = lab.Path("cluster.yaml");
  auto content = ReadFile(path);
  ASSERT_TRUE(content.ok());
  for (const auto& [from, to] : replacements) {
    const size_t at = content->find(from);
    ASSERT_NE(at, std::string::npos) << from;
    content->replace(at, from.size(), to);
  }
  ASSERT_TRUE(WriteFileDurably(path, *content, {.mode = 0644}).ok());
}

void Inject(LabCluster& lab, const std::vector<std::vector<std::string>>& faults) {
  for (const std::vector<std::string>& arguments : faults) {
    std::vector<std::string> all = {"fault"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto injected = lab.Lab(all);
    ASSERT_EQ(injected.exit_code, 0) << injected.err;
  }
}

class FaultTest : public ::testing::TestWithParam<Fault> {};

TEST_P(FaultTest, EndsAsPromised) {
  const Fault& fault = GetParam();
  LabCluster::Shape shape{.servers = 3, .workers = 1, .up_arguments = {"--health-timeout", "30s"}};
  shape.up_arguments.insert(shape.up_arguments.end(), fault.up.begin(), fault.up.end());
  auto lab = LabCluster::Up(shape);
  ASSERT_TRUE(lab.ok()) << lab.status();
  EditClusterFile(**lab, fault.cluster_file);
  const auto units = UnitsOf(**lab, {"s1", "s2", "s3", "w1"});
  Inject(**lab, fault.inject);

  ChildProcess upgrade = (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes"}, "upgrade.log");
  if (!fault.inject_later.empty()) {
    ASSERT_TRUE(Eventually([&] { return !(*lab)->Events().empty(); }, kLong)) << (*lab)->Log("upgrade.log");
    Inject(**lab, fault.inject_later);
  }
  EXPECT_EQ(upgrade.Wait(kLong), 1) << (*lab)->Log("upgrade.log");
  EXPECT_EQ(StateOf(**lab), fault.state) << (*lab)->Log("upgrade.log");
  EXPECT_EQ((*lab)->RunningVersions(), fault.versions) << (*lab)->Log("upgrade.log");
  EXPECT_EQ(Cordoned(**lab), fault.cordoned);
  EXPECT_EQ(UnitsOf(**lab, {"s1", "s2", "s3", "w1"}), units);
  EXPECT_NE(HistoryOf(**lab).find(fault.in_history), std::string::npos) << HistoryOf(**lab);
}

INSTANTIATE_TEST_SUITE_P(
    AtServers, FaultTest,
    ::testing::Values(
        Fault{"ReleaseNeverReady",
              {{"release", kNew, "never-ready"}},
              "compensated",
              All(kOld),
              {},
              "put back"},
        Fault{"ReleaseCrashes", {{"release", kNew, "crash"}}, "compensated", All(kOld), {}, "put back"},
        Fault{"SecondServerNeverReady",
              {{"node", "s2", "never-ready", "--only", kNew}},
              "compensated",
              All(kOld),
              {},
              "Restore from backup"},
        Fault{"InstallerDiesHalfway",
              {{"installer", "s2", "halfway", "--times", "9"}},
              "compensated",
              All(kOld),
              {},
              "Restore from backup"},
        Fault{"ReleaseSaysAnotherVersion", {{"release", kNew, "wrong-version"}}, "stopped", All(kOld)},
        Fault{"ReleaseIsCorrupt", {{"release", kNew, "corrupt"}}, "stopped", All(kOld)},
        Fault{"ReleaseIsCut", {{"release", kNew, "cut"}}, "stopped", All(kOld)},
        Fault{"DownloadFails", {{"download", "error"}}, "stopped", All(kOld), {}, "", {"--release-server"}}),
    [](const auto& fault) { return fault.param.name; });

// The servers stay where they are; the worker is left as it failed, cordoned and with its reason, unless the
// policy or the moment of the failure says better.
INSTANTIATE_TEST_SUITE_P(
    AtAWorker, FaultTest,
    ::testing::Values(
        Fault{"NeverReady", {{"node", "w1", "never-ready", "--only", kNew}}, "stopped", All(kNew), {"w1"}},
        Fault{"Crashes", {{"node", "w1", "crash", "--only", kNew}}, "stopped", ServersNewAnd(""), {"w1"}},
        Fault{"CrashesAndIsPutBack",
              {{"node", "w1", "crash", "--only", kNew}},
              "stopped",
              ServersNewAnd(kOld),
              {},
              "put back",
              {},
              {{"  workers:", "  workers:\n    on_failure: put_back"}}},
        Fault{"InstallerDiesHalfway",
              {{"installer", "w1", "halfway", "--times", "9"}},
              "stopped",
              ServersNewAnd(kOld)},
        Fault{"DrainIsBlocked",
              {},
              "stopped",
              ServersNewAnd(kOld),
              {},
              "1 pod left: default/pinned-w1-",  // and which budget holds it
              {},
              {{"enabled: true, timeout: 30s", "enabled: true, timeout: 5s"}},
              {{"drain", "w1"}}}),
    [](const auto& fault) { return fault.param.name; });

// Within the failure budget new ones are begun, and the end says that not all is done.
TEST(FaultAtAWorker, IsSkippedWhereThePolicySaysSo) {
  auto lab = LabCluster::Up(
      {.servers = 1, .workers = 3, .up_arguments = {"--health-timeout", "30s", "--canary", "0"}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  EditClusterFile(**lab, {{"  workers:", "  workers:\n    on_failure: skip\n    failure_budget: 1"}});
  Inject(**lab, {{"node", "w1", "crash", "--only", kNew}});
  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"});
  EXPECT_EQ(upgrade.exit_code, 1) << upgrade.out << upgrade.err;
  EXPECT_EQ(StateOf(**lab), "stopped");
  const auto versions = (*lab)->RunningVersions();
  EXPECT_EQ(versions.at("w2"), kNew) << upgrade.out;
  EXPECT_EQ(versions.at("w3"), kNew) << upgrade.out;
  EXPECT_EQ(Cordoned(**lab), std::vector<std::string>{"w1"});
}

// Members away cost two servers their quorum, by design and by consent; the way back is the same.
TEST(FaultOfTwoServers, PutsBothBack) {
  auto lab = LabCluster::Up({.servers = 2, .workers = 0, .up_arguments = {"--health-timeout", "30s"}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  Inject(**lab, {{"node", LeaderOf(**lab), "never-ready", "--only", kNew}});  // goes last
  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"});
  EXPECT_EQ(upgrade.exit_code, 1) << upgrade.out << upgrade.err;
  EXPECT_EQ(StateOf(**lab), "compensated") << upgrade.out;
  EXPECT_EQ((*lab)->RunningVersions(), (std::map<std::string, std::string>{{"s1", kOld}, {"s2", kOld}}));
  EXPECT_EQ(MembersOf(**lab), (std::map<std::string, size_t>{{"s1", 2}, {"s2", 2}}));
}

TEST(FaultOfASqliteServer, PutsItBack) {
  auto lab =
      LabCluster::Up({.servers = 1, .workers = 0, .up_arguments = {"--sqlite", "--health-timeout", "20s"}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  Inject(**lab, {{"node", "s1", "never-ready", "--only", kNew}});
  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"});
  EXPECT_EQ(upgrade.exit_code, 1) << upgrade.out << upgrade.err;
  EXPECT_EQ(StateOf(**lab), "compensated") << upgrade.out;
  EXPECT_EQ((*lab)->RunningVersions(), (std::map<std::string, std::string>{{"s1", kOld}}));
}

TEST(FaultOfFiveServers, PutsBackThoseThatMovedNewestFirst) {
  auto lab = LabCluster::Up({.servers = 5, .workers = 0, .up_arguments = {"--health-timeout", "30s"}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  Inject(**lab, {{"node", LeaderOf(**lab), "never-ready", "--only", kNew}});  // goes last
  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes"});
  EXPECT_EQ(upgrade.exit_code, 1) << upgrade.out << upgrade.err;
  EXPECT_EQ(StateOf(**lab), "compensated") << upgrade.out;
  std::vector<std::string> moved;
  std::vector<std::string> back;
  for (const v1::Event& event : (*lab)->Events()) {
    const v1::OperationIssued& issued = event.issued();
    if (issued.attempt() > 1) continue;
    if (issued.spec().has_install()) moved.push_back(issued.node());
    if (issued.spec().has_put_back()) back.push_back(issued.node());
  }
  ASSERT_EQ(moved.size(), 5u);
  // The one that failed was put back by its own agent.
  EXPECT_EQ(back, (std::vector<std::string>{moved.rbegin() + 1, moved.rend()}));
  for (const auto& [node, version] : (*lab)->RunningVersions()) EXPECT_EQ(version, kOld) << node;
  for (const auto& [node, members] : MembersOf(**lab)) EXPECT_EQ(members, 5u) << node;
}

// A server that is through restarts by itself while the next one waits: that is shown with its last words,
// and the settle time begins again.
TEST(Stability, ARestartElsewhereIsShownAndWaitedFor) {
  auto lab = LabCluster::Up({.servers = 3, .workers = 0, .up_arguments = {"--settle-time", "10s"}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  ChildProcess upgrade = (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes"}, "upgrade.log");
  std::string through;  // and proved by the round that says what the next one waits for
  ASSERT_TRUE(Eventually(
      [&] {
        const std::string log = (*lab)->Log("upgrade.log");
        const size_t at = log.find(": upgraded");
        if (at == std::string::npos || at < 2) return false;
        through = log.substr(at - 2, 2);
        return true;
      },
      kLong))
      << (*lab)->Log("upgrade.log");
  Inject(**lab, {{"kill", through, "k3s"}});
  EXPECT_EQ(upgrade.Wait(kLong), 0) << (*lab)->Log("upgrade.log");
  const std::string log = (*lab)->Log("upgrade.log");
  EXPECT_NE(log.find(through + ": it restarted though nobody touched it"), std::string::npos) << log;
  EXPECT_NE(log.find("its last words before: "), std::string::npos) << log;
}

// What a drain would meet is named before anything is touched, and what the policy will do about it.
TEST(Preflight, RefusesADrainThatABudgetNeverAllows) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 1});
  ASSERT_TRUE(lab.ok()) << lab.status();
  Inject(**lab, {{"drain", "w1"}});
  ASSERT_TRUE(Datastore(**lab).Create(
      "/api/v1/namespaces/default/pods",
      {{"metadata", {{"name", "loner"}}},
       {"spec", {{"nodeName", "w1"}, {"containers", {{{"name", "app"}, {"image", "lab/app"}}}}}}}));
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"check", "--to", kNew, "--allow-outage"},
        {"plan", "--to", kNew, "--allow-outage"},
        {"upgrade", "--to", kNew, "--yes", "--allow-outage"}}) {
    const auto refused = (*lab)->K3saga(command);
    EXPECT_EQ(refused.exit_code, 3) << refused.out << refused.err;
    for (const char* named : {"pinned-w1", "allows no pod to be away", "default/loner", "has no controller"})
      EXPECT_NE(refused.out.find(named), std::string::npos)
          << command.front() << " on " << named << ": " << refused.out;
  }
  EXPECT_EQ((*lab)->RunningVersions(), (std::map<std::string, std::string>{{"s1", kOld}, {"w1", kOld}}));
  EXPECT_TRUE(Cordoned(**lab).empty());
}

}  // namespace
}  // namespace k3saga::testing
