// The crash matrix: real processes, one test a crash point. Run, die there, start again, and compare what is
// left with what an undisturbed run leaves: the same versions, cordons and units, each installation once.

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "agent/operations/journal.h"
#include "common/host/files.h"
#include "common/host/process.h"
#include "lab/control/cluster_client.h"
#include "tests/crash/recipes.h"
#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

constexpr int kDied = 86;
constexpr int kRefused = 3;
constexpr std::chrono::seconds kLong{240};
const std::vector<std::string> kNodes = {"s1", "s2", "s3", "w1"};

LabCluster::Shape ShapeOf(Story story) {
  LabCluster::Shape shape{.servers = 3, .workers = 1};
  shape.up_arguments = {
      "--settle-time",     "0s",  "--server-start-ms", "300",
      "--worker-start-ms", "200", "--health-timeout",  story == Story::kPutBack ? "15s" : "60s",
      "--no-observer"};
  return shape;
}

// A cordon of the user's own, which is there before and has to be there after.
absl::Status CordonAsTheUser(const LabCluster& lab, const std::string& node) {
  auto loaded = lab::LoadLab(lab.dir());
  if (!loaded.ok()) return loaded.status();
  lab::ClusterClient client(*loaded);
  auto object = client.Call("GET", "/api/v1/nodes/" + node);
  if (!object.ok()) return object.status();
  (*object)["spec"]["unschedulable"] = true;
  return client.Call("PUT", "/api/v1/nodes/" + node, *object).status();
}

void Append(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::app) << text; }

class CrashMatrix : public ::testing::TestWithParam<Recipe> {
 protected:
  void BringUp() {
    auto lab = LabCluster::Up(ShapeOf(GetParam().story));
    ASSERT_TRUE(lab.ok()) << lab.status();
    lab_ = *std::move(lab);
    ASSERT_TRUE(MakeDirectories(lab_->Path("marks"), 0755).ok());
    Eventually([&] { return CordonAsTheUser(*lab_, "w1").ok(); });
    if (GetParam().story == Story::kPush) PushAndCopy();
    if (GetParam().story == Story::kPutBack) {
      ASSERT_EQ(lab_->Lab({"fault", "node", "s3", "never-ready", "--only", kNew}).exit_code, 0);
    }
    units_ = UnitsOf(*lab_, kNodes);
    ASSERT_EQ(units_.size(), 8u);
  }

  // The release comes from the coordinator, and the backup goes there.
  void PushAndCopy() {
    auto text = ReadFile(lab_->Path("cluster.yaml"));
    ASSERT_TRUE(text.ok());
    const size_t source = text->find("  source: ");
    ASSERT_NE(source, std::string::npos);
    text->insert(source + strlen("  source: "), "coordinator:");
    Append(lab_->Path("cluster.yaml.new"), *text + "backup: {copy_to: " + lab_->Path("copies") + "}\n");
    ASSERT_EQ(rename(lab_->Path("cluster.yaml.new").c_str(), lab_->Path("cluster.yaml").c_str()), 0);
  }

  std::vector<std::string> Armed(int hit, const std::string& marks) {
    return {"K3SAGA_CRASH_AT=" + GetParam().point + ":" + std::to_string(hit), "K3SAGA_CRASH_MARKS=" + marks};
  }

  // Whatever goes on from where it stands: there may be no rollout yet.
  std::vector<std::string> GoOn() {
    const nlohmann::json status = lab_->K3sagaJson({"status"});
    if (!status.is_object() || !status.contains("rollout")) return {"upgrade", "--to", kNew, "--yes"};
    return {"resume"};
  }

  void DieAsCoordinator() {
    int deaths = 0;
    LabCluster::Ended ended;
    for (const int hit : GetParam().hits) {
      const std::string marks = lab_->Path("marks/" + std::to_string(hit));
      ASSERT_TRUE(MakeDirectories(marks, 0755).ok());
      const std::vector<std::string> arguments = GoOn();
      ended = GetParam().story == Story::kPause ? PauseUnder(arguments, Armed(hit, marks))
                                                : lab_->K3saga(arguments, Armed(hit, marks));
      if (ended.exit_code != kDied) break;
      ++deaths;
    }
    EXPECT_GT(deaths, 0) << "it never came to " << GetParam().point << "\n" << ended.out << ended.err;
    if (ended.exit_code == kDied) ended = lab_->K3saga(GoOn());
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  }

  LabCluster::Ended PauseUnder(const std::vector<std::string>& arguments,
                               const std::vector<std::string>& environment) {
    ChildProcess run = lab_->StartK3saga(arguments, "upgrade.log", environment);
    EXPECT_TRUE(
        Eventually([&] { return lab_->Log("upgrade.log").find("== Upgrade") != std::string::npos; }, kLong));
    (void)lab_->K3saga({"pause"});
    LabCluster::Ended ended;
    ended.exit_code = run.Wait(kLong);
    ended.out = lab_->Log("upgrade.log");
    return ended;
  }

  void AwaitAgents() {
    EXPECT_TRUE(Eventually([&] { return lab_->K3saga({"nodes"}).exit_code == 0; }, kLong));
  }

  void DieOnTheNodes() {
    for (size_t i = 0; i < kNodes.size(); ++i) {
      const std::string marks = lab_->Path("marks/" + kNodes[i]);
      ASSERT_TRUE(MakeDirectories(marks, 0755).ok());
      const std::vector<std::string> armed = Armed(GetParam().hits[i], marks);
      if (GetParam().where == Where::kAgent) {
        ASSERT_EQ(lab_->Lab({"fault", "environment", kNodes[i], armed[0], armed[1]}).exit_code, 0);
      } else {
        // Read whenever a process is started: the agent, which runs, does not hear of it.
        Append(lab_->Path("nodes/" + kNodes[i] + "/manager.env"), armed[0] + "\n" + armed[1] + "\n");
      }
    }
    const bool back = GetParam().story == Story::kPutBack;
    auto upgrade = lab_->K3saga({"upgrade", "--to", kNew, "--yes"});
    // An agent that dies while it says what it runs has the upgrade refused, as it should: again, when it is
    // back.
    for (size_t i = 0; i < kNodes.size() && upgrade.exit_code == kRefused; ++i) {
      AwaitAgents();
      upgrade = lab_->K3saga({"upgrade", "--to", kNew, "--yes"});
    }
    AwaitAgents();
    EXPECT_EQ(upgrade.exit_code, back ? 1 : 0) << upgrade.out << upgrade.err;
    int deaths = 0;
    for (const std::string& node : kNodes)
      deaths += Exists(lab_->Path("marks/" + node + "/" + GetParam().point)) ? 1 : 0;
    EXPECT_GT(deaths, 0) << "it never came to " << GetParam().point;
    std::cout << deaths << " processes died at " << GetParam().point << "\n";
  }

  void ExpectAsUndisturbed() {
    const bool back = GetParam().story == Story::kPutBack;
    EXPECT_EQ(StateOf(*lab_), back ? "compensated" : "succeeded");
    const auto versions = lab_->RunningVersions();
    const std::vector<v1::Event> events = lab_->Events();
    const auto installs = InstallsIn(events);
    std::map<std::string, int> asked;
    for (const v1::Event& event : events) {
      if (event.has_issued() && event.issued().spec().has_install()) ++asked[event.issued().node()];
    }
    for (const std::string& node : kNodes) {
      EXPECT_EQ(versions.count(node) != 0 ? versions.at(node) : "", back ? kOld : kNew) << node;
      if (back) continue;
      EXPECT_EQ(installs.count(node) != 0 ? installs.at(node) : 0, 1) << node << " is installed exactly once";
      // Once an attempt; only a process that died between the installer and its commit runs it a second time
      // (what an agent starts dies like the agent).
      EXPECT_LE(InstallerRuns(*lab_, node), asked[node] + (GetParam().where == Where::kCoordinator ? 0 : 1))
          << node;
    }
    EXPECT_EQ(Cordoned(*lab_), std::vector<std::string>{"w1"}) << "the user's cordon stays, ours are gone";
    EXPECT_EQ(UnitsOf(*lab_, kNodes), units_);
    ExpectOneServerAtATime(events);
  }

  // Quorum by what the journal shows: no install of a server begins while another one's is open.
  static void ExpectOneServerAtATime(const std::vector<v1::Event>& events) {
    std::set<uint64_t> open;
    for (const v1::Event& event : events) {
      const bool touches = event.has_issued() && event.issued().node()[0] == 's' &&
                           (event.issued().spec().has_install() || event.issued().spec().has_put_back());
      if (touches) {
        EXPECT_TRUE(open.empty()) << event.ShortDebugString();
        open.insert(event.issued().sequence());
      }
      if (event.has_settled()) open.erase(event.settled().sequence());
    }
  }

  std::unique_ptr<LabCluster> lab_;
  std::map<std::string, std::string> units_;
};

// An agent's journal alone, in another process of this test program, which dies at the point.
void DieByHand(const Recipe& recipe);

TEST_P(CrashMatrix, EndsAsIfNothingHadHappened) {
  const Recipe& recipe = GetParam();
  ASSERT_FALSE(recipe.hits.empty()) << "nobody has said how to reach the crash point " << recipe.point
                                    << ": add it to tests/crash/recipes.cc";
  if (recipe.where == Where::kByHand) return DieByHand(recipe);
  ASSERT_NO_FATAL_FAILURE(BringUp());
  if (recipe.where == Where::kCoordinator) {
    DieAsCoordinator();
  } else {
    DieOnTheNodes();
  }
  ExpectAsUndisturbed();
}

INSTANTIATE_TEST_SUITE_P(Point, CrashMatrix, ::testing::ValuesIn(AllRecipes()),
                         [](const ::testing::TestParamInfo<Recipe>& at) { return NameOf(at.param); });

// --- journals alone ---

operations::Journal::Options Small() {
  operations::Journal::Options options;
  options.reserve_bytes = 0;
  options.keep = 1;
  return options;
}

v1::RunRequest CordonRequest(uint64_t sequence) {
  v1::RunRequest request;
  request.mutable_authority()->set_rollout("r");
  request.mutable_authority()->set_epoch(1);
  request.mutable_authority()->set_holder("h");
  request.mutable_id()->set_rollout("r");
  request.mutable_id()->set_sequence(sequence);
  request.mutable_id()->set_attempt(1);
  request.mutable_spec()->mutable_drain()->set_node("w1");
  return request;
}

int RunChild(const std::string& what, const std::string& path) {
  SystemClock clock;
  auto journal = operations::Journal::Open(path, Small(), &clock);
  if (!journal.ok()) return 1;
  if (what == "cancel") return (*journal)->RequestCancel(CordonRequest(3).id()).ok() ? 0 : 1;
  return (*journal)->Prune().ok() ? 0 : 1;
}

void DieByHand(const Recipe& recipe) {
  std::string folder = "/tmp/k3saga-crash.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/journal.db";
  const bool cancels = recipe.point.find("cancel") != std::string::npos;
  SystemClock clock;
  {
    auto journal = operations::Journal::Open(path, Small(), &clock);
    ASSERT_TRUE(journal.ok()) << journal.status();
    for (uint64_t sequence = 1; sequence <= 3; ++sequence) {
      auto accepted = (*journal)->Accept(CordonRequest(sequence));
      ASSERT_TRUE(accepted.ok()) << accepted.status();
      operations::Record record = accepted->entry.record;
      if (sequence == 3) continue;  // one that runs
      operations::Advance(record, operations::EffectResult::Done());
      ASSERT_TRUE((*journal)->Save(record, {}).ok());
    }
  }
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  auto died = Run({.argv = {self, cancels ? "cancel" : "prune", path},
                   .environment = {"K3SAGA_CRASH_AT=" + recipe.point},
                   .deadline = std::chrono::seconds(60)});
  ASSERT_TRUE(died.ok()) << died.status();
  EXPECT_EQ(died->exit_code, kDied);

  auto journal = operations::Journal::Open(path, Small(), &clock);
  ASSERT_TRUE(journal.ok()) << journal.status();
  const bool done = recipe.point.find("after") != std::string::npos;
  auto running = (*journal)->Find(CordonRequest(3).id());
  ASSERT_TRUE(running.ok() && running->has_value());
  if (cancels) {
    EXPECT_EQ((*running)->cancel_requested, done);
  } else {
    auto all = (*journal)->List(10);
    ASSERT_TRUE(all.ok());
    EXPECT_EQ(all->size(), done ? 2u : 3u) << "all of it or nothing";
    auto again = (*journal)->Accept(CordonRequest(1));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->admission.kind == operations::Admission::Kind::kRefuse, done)
        << "what was forgotten is below the floor, what was not is attached to";
  }
  EXPECT_TRUE(RemoveTree(folder).ok());
}

}  // namespace

int ChildMain(const std::string& what, const std::string& path) { return RunChild(what, path); }

}  // namespace k3saga::testing

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]).rfind("--", 0) != 0)
    return k3saga::testing::ChildMain(argv[1], argv[2]);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
