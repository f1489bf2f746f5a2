// What a step from one release to another may need besides: a remedy while versions are mixed, the user's
// gate, a hop in between.

#include <httplib.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "common/host/files.h"
#include "tests/e2e/datastore.h"
#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kBalm[] = "/apis/rbac.authorization.k8s.io/v1/clusterroles/balm";

// A table entry of the test's own: the step to v1.32 needs a ClusterRole.
void AddRemedy(const LabCluster& lab) {
  ASSERT_TRUE(MakeDirectories(lab.Path("trouble")).ok());
  ASSERT_TRUE(WriteFileDurably(lab.Path("trouble/ours.yaml"), R"(known_trouble:
- id: our-step
  to: {at_least: v1.32}
  role: server
  effect: remedy
  says: servers want balm
  source: this test
  manifests:
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata: {name: balm}
    rules: []
)")
                  .ok());
  AppendToClusterFile(lab, "known_trouble: trouble\n");
}

// Until the upgrade's log has these words.
bool Said(const LabCluster& lab, const std::string& words) {
  return Eventually([&] { return lab.Log("upgrade.log").find(words) != std::string::npos; },
                    std::chrono::seconds(120));
}

TEST(Remedy, StandsWhileVersionsAreMixedAndIsGoneAfterwards) {
  auto lab = LabCluster::Up({.servers = 3, .workers = 1});
  ASSERT_TRUE(lab.ok()) << lab.status();
  AddRemedy(**lab);
  const auto plan = (*lab)->K3saga({"plan", "--to", kNew});
  EXPECT_THAT(plan.out, HasSubstr("servers want balm (this test)"));
  EXPECT_THAT(plan.out, HasSubstr("clusterrole/balm"));

  Datastore api(**lab);
  ChildProcess upgrade = (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes"}, "upgrade.log");
  // Killed in the middle of the servers: whoever resumes knows of it.
  ASSERT_TRUE(Said(**lab, ": install v1.32.0"));
  EXPECT_TRUE(api.Has(kBalm));
  upgrade.Signal(SIGKILL);
  upgrade.Wait(std::chrono::seconds(10));
  const auto resume = (*lab)->K3saga({"resume"});
  EXPECT_EQ(resume.exit_code, 0) << resume.out << resume.err;
  EXPECT_EQ(StateOf(**lab), "succeeded");
  EXPECT_FALSE(api.Has(kBalm));
}

TEST(Remedy, IsGoneAfterTheWayBack) {
  auto lab = LabCluster::Up({.servers = 3, .workers = 0, .up_arguments = {"--health-timeout", "30s"}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  AddRemedy(**lab);
  ASSERT_EQ((*lab)->Lab({"fault", "node", "s2", "never-ready", "--only", kNew}).exit_code, 0);
  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes"});
  EXPECT_EQ(upgrade.exit_code, 1) << upgrade.out << upgrade.err;
  EXPECT_EQ(StateOf(**lab), "compensated");
  EXPECT_THAT(upgrade.out, HasSubstr("apply what this step needs"));
  EXPECT_FALSE(Datastore(**lab).Has(kBalm));
}

TEST(Remedy, IsGoneAfterAKillAndAnAbort) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 0});
  ASSERT_TRUE(lab.ok()) << lab.status();
  AddRemedy(**lab);
  ChildProcess upgrade =
      (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"}, "upgrade.log");
  ASSERT_TRUE(Said(**lab, "s1: install v1.32.0")) << (*lab)->Log("upgrade.log");
  upgrade.Kill();
  const auto abort = (*lab)->K3saga({"abort", "--yes"});
  EXPECT_EQ(abort.exit_code, 1) << abort.out << abort.err;
  EXPECT_FALSE(Datastore(**lab).Has(kBalm));
}

// The process dies while a worker is drained, and whoever comes next gives up: our cordon goes, what the user
// had cordoned stays so.
TEST(Cordons, OfTheUserStayAfterAKillAndAnAbort) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 2});
  ASSERT_TRUE(lab.ok()) << lab.status();
  ASSERT_TRUE(Datastore(**lab).Cordon("w1"));
  ChildProcess upgrade =
      (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"}, "upgrade.log");
  // Only now: the preflight would refuse it.
  ASSERT_TRUE(Said(**lab, "== Upgrade servers")) << (*lab)->Log("upgrade.log");
  ASSERT_EQ((*lab)->Lab({"fault", "drain", "w2"}).exit_code, 0);
  ASSERT_TRUE(Said(**lab, "w2: drain")) << (*lab)->Log("upgrade.log");
  upgrade.Kill();
  EXPECT_THAT(Cordoned(**lab), ::testing::UnorderedElementsAre("w1", "w2"));

  const auto abort = (*lab)->K3saga({"abort", "--yes"});
  EXPECT_EQ(abort.exit_code, 1) << abort.out << abort.err;
  EXPECT_EQ(StateOf(**lab), "stopped");
  EXPECT_EQ(Cordoned(**lab), std::vector<std::string>{"w1"});
  EXPECT_EQ((*lab)->RunningVersions()["w2"], kOld);
}

// What would break afterwards is named before: an API that the target removes, who calls it, what was written
// through it.
TEST(Check, NamesWhoUsesAnApiThatTheTargetRemoves) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 0});
  ASSERT_TRUE(lab.ok()) << lab.status();
  Datastore api(**lab);
  ASSERT_TRUE(api.Create(
      "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
      {{"metadata",
        {{"name", "web"}, {"managedFields", {{{"manager", "helm"}, {"apiVersion", "policy/v1"}}}}}},
       {"spec", {{"maxUnavailable", 1}, {"selector", {{"matchLabels", {{"app", "web"}}}}}}}}));
  // As apiserver writes it; this lab pretends that the version it has is an old one.
  ASSERT_TRUE(
      WriteFileDurably((*lab)->Path("api-metrics"),
                       "apiserver_requested_deprecated_apis{group=\"policy\",removed_release=\"1.32\","
                       "resource=\"poddisruptionbudgets\",subresource=\"\",version=\"v1\"} 1\n")
          .ok());
  const auto check = (*lab)->K3saga({"check", "--to", kNew, "--allow-outage"});
  EXPECT_EQ(check.exit_code, 0) << check.out << check.err;
  EXPECT_THAT(check.out,
              HasSubstr("policy/v1 poddisruptionbudgets: somebody calls this API; v1.32 removes it; "
                        "written through it: default/web (by helm)"));
}

// A Prometheus whose one alert fires as long as the test wants.
class Alerts {
 public:
  Alerts() {
    server_.Get("/api/v1/alerts", [this](const httplib::Request&, httplib::Response& response) {
      ++asked;
      response.set_content(
          firing
              ? R"({"status":"success","data":{"alerts":[{"labels":{"alertname":"PodsCrash"},"state":"firing"}]}})"
              : R"({"status":"success","data":{"alerts":[]}})",
          "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Alerts() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  std::atomic<bool> firing{true};
  std::atomic<int> asked{0};

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

TEST(Gate, FiringAlertsHoldTheRolloutUntilTheyDoNot) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 1});
  ASSERT_TRUE(lab.ok()) << lab.status();
  Alerts alerts;
  AppendToClusterFile(**lab,
                      "gate: {prometheus: \"" + alerts.url() + "\", filter: 'alertname!=\"Watchdog\"'}\n");
  ChildProcess upgrade =
      (*lab)->StartK3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"}, "upgrade.log");
  ASSERT_TRUE(Said(**lab, "PodsCrash"));
  EXPECT_THAT((*lab)->K3saga({"status"}).out, HasSubstr("PodsCrash"));
  EXPECT_EQ((*lab)->RunningVersions()["s1"], kOld);
  alerts.firing = false;
  EXPECT_EQ(upgrade.Wait(std::chrono::seconds(180)), 0) << (*lab)->Log("upgrade.log");
  EXPECT_EQ(StateOf(**lab), "succeeded");
  EXPECT_GE(alerts.asked, 3);  // closed, then before the server and before the worker
}

TEST(Gate, ACommandThatKeepsSayingNoStopsTheRollout) {
  auto lab = LabCluster::Up({.servers = 1, .workers = 1});
  ASSERT_TRUE(lab.ok()) << lab.status();
  AppendToClusterFile(
      **lab, "gate: {command: [sh, -c, 'test $K3SAGA_NODE != w1 || { echo shop is busy; exit 1; }']}\n");
  auto content = ReadFile((*lab)->Path("cluster.yaml"));
  ASSERT_TRUE(content.ok());
  const std::string settle = "    settle_time:";
  content->insert(content->find(settle), "    gate_timeout: 10s\n");
  ASSERT_TRUE(WriteFileDurably((*lab)->Path("cluster.yaml"), *content, {.mode = 0644}).ok());
  const auto upgrade = (*lab)->K3saga({"upgrade", "--to", kNew, "--yes", "--allow-outage"});
  EXPECT_EQ(upgrade.exit_code, 1) << upgrade.out << upgrade.err;
  EXPECT_THAT(upgrade.out, HasSubstr("the command says no: shop is busy"));
  EXPECT_EQ(StateOf(**lab), "stopped");
  EXPECT_EQ((*lab)->RunningVersions()["s1"], kNew);
  EXPECT_EQ((*lab)->RunningVersions()["w1"], kOld);
  EXPECT_TRUE(Cordoned(**lab).empty());
}

// Two minors in one verb: a rollout a hop, each with a backup and a verification of its own. A node that its
// user had cordoned stays so through both.
TEST(MultiHop, GoesOneMinorAtATimeWhenThatIsAgreedTo) {
  constexpr char kBeyond[] = "v1.33.1+k3s1";
  auto lab = LabCluster::Up({.servers = 1, .workers = 1, .up_arguments = {"--releases", kBeyond}});
  ASSERT_TRUE(lab.ok()) << lab.status();
  std::vector<std::string> command = {"upgrade", "--to", kBeyond, "--via", kNew, "--yes", "--allow-outage"};
  const auto refused = (*lab)->K3saga(command);
  EXPECT_EQ(refused.exit_code, 3) << refused.out << refused.err;
  EXPECT_THAT(refused.out, HasSubstr("2 hops, one a minor version: v1.32.0+k3s1, v1.33.1+k3s1"));
  EXPECT_THAT(refused.out, HasSubstr("--multi-hop"));
  EXPECT_THAT(refused.out, HasSubstr("install v1.33.1+k3s1 over v1.32.0+k3s1"));
  EXPECT_EQ((*lab)->RunningVersions()["s1"], kOld) << "nothing was touched";

  ASSERT_TRUE(Datastore(**lab).Cordon("w1"));
  command.push_back("--multi-hop");
  const auto upgrade = (*lab)->K3saga(command);
  EXPECT_EQ(upgrade.exit_code, 0) << upgrade.out << upgrade.err;
  EXPECT_EQ((*lab)->RunningVersions(),
            (std::map<std::string, std::string>{{"s1", kBeyond}, {"w1", kBeyond}}));
  std::vector<std::string> backups;
  EXPECT_EQ(Cordoned(**lab), std::vector<std::string>{"w1"});
  const nlohmann::json list = (*lab)->K3sagaJson({"backups"});
  for (const nlohmann::json& backup : list["backups"]) {
    backups.push_back(backup["version"]);
  }
  EXPECT_THAT(backups, ::testing::ElementsAre(kNew, kOld)) << "one before each hop, newest first";
  size_t verified = 0;
  for (size_t at = 0; (at = upgrade.out.find("== Verify", at)) != std::string::npos; ++at) ++verified;
  EXPECT_EQ(verified, 2u) << upgrade.out;
}

}  // namespace
}  // namespace k3saga::testing
