// Whole rollouts by the real program, against agents that do as they are told: exit codes, output,
// interruption.
#include <absl/strings/str_split.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "common/host/files.h"
#include "tests/support/child_process.h"
#include "tests/support/eventually.h"
#include "tests/unit/coordinator/cli/served_cluster.h"

namespace k3saga::cli {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

constexpr char kTo[] = "v1.32.0+k3s1";
constexpr std::chrono::seconds kLong{60};

class Upgrade : public ServedCluster {
 protected:
  k3saga::testing::ChildProcess Start(std::vector<std::string> arguments, const std::string& log) {
    arguments.insert(arguments.begin(), {K3SAGA_PROGRAM, "-f", At("cluster.yaml")});
    return k3saga::testing::ChildProcess(arguments, At(log), Environment());
  }
};

const std::vector<std::string> kThreeHops = {"--via", "v1.32.9+k3s1", "--via", "v1.33.5+k3s1"};

std::vector<std::string> With(std::vector<std::string> arguments, const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_F(Upgrade, SeveralMinorsAreRefusedWithThePlanOfEachHop) {
  const ProcessResult result = K3saga(With({"upgrade", "--to", "v1.34.1+k3s1", "--yes"}, kThreeHops));
  EXPECT_EQ(result.exit_code, 3) << result.out << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("3 hops"), HasSubstr("v1.32.9+k3s1, v1.33.5+k3s1, v1.34.1+k3s1"),
                                HasSubstr("--multi-hop")));
  EXPECT_THAT(result.out, AllOf(HasSubstr("from v1.32.9+k3s1 to v1.33.5+k3s1"),
                                HasSubstr("install v1.34.1+k3s1 over v1.33.5+k3s1")));
  EXPECT_LT(result.out.find("install v1.34.1+k3s1"), result.out.find("Refused; nothing was touched"));
  EXPECT_TRUE(cluster_.Installs().empty());

  const ProcessResult undecided = K3saga({"-o", "json", "plan", "--to", "v1.33.5+k3s1"});
  EXPECT_EQ(undecided.exit_code, 3);
  const auto json = nlohmann::json::parse(undecided.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << undecided.out;
  ASSERT_EQ(json["hops"].size(), 2u);
  EXPECT_EQ(json["hops"][0]["to"], "v1.32.x");
  EXPECT_EQ(json["hops"][1]["from"], "v1.32.x");
  EXPECT_FALSE(json["hops"][1]["waves"].empty());
}

TEST_F(Upgrade, MultiHopGoesMinorByMinorWithABackupEach) {
  const ProcessResult plan = K3saga(With({"plan", "--to", "v1.34.1+k3s1", "--multi-hop"}, kThreeHops));
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, AllOf(HasSubstr("to v1.32.9+k3s1"), HasSubstr("Then v1.33.5+k3s1, v1.34.1+k3s1")));
  const ProcessResult result =
      K3saga(With({"upgrade", "--to", "v1.34.1+k3s1", "--multi-hop", "--yes"}, kThreeHops));
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(cluster_.Versions(), Each(Pair(::testing::_, "v1.34.1+k3s1")));
  EXPECT_THAT(cluster_.Installs(), Each(Pair(::testing::_, 3)));
  const auto history = nlohmann::json::parse(K3saga({"-o", "json", "history"}).out, nullptr, false);
  ASSERT_TRUE(history.is_object()) << history;
  EXPECT_EQ(history["rollouts"].size(), 3u);
}

TEST_F(Upgrade, AKilledChainIsResumedToItsEnd) {
  cluster_.HoldInstall("w2");
  auto upgrade =
      Start(With({"upgrade", "--to", "v1.34.1+k3s1", "--multi-hop", "--yes"}, kThreeHops), "upgrade.log");
  ASSERT_TRUE(k3saga::testing::Eventually([&] { return cluster_.installing(); }, kLong));
  upgrade.Signal(SIGKILL);
  upgrade.Wait(kLong);
  cluster_.Release();
  const ProcessResult resume = K3saga({"resume"});
  EXPECT_EQ(resume.exit_code, 0) << resume.out << resume.err;
  EXPECT_THAT(cluster_.Versions(), Each(Pair(::testing::_, "v1.34.1+k3s1")));
  EXPECT_EQ(K3saga({"resume"}).exit_code, 2) << "nothing is left to go on with";
}

TEST_F(Upgrade, ViaHasToLieOnTheWay) {
  const ProcessResult result =
      K3saga({"upgrade", "--to", "v1.33.1+k3s1", "--multi-hop", "--yes", "--via", "v1.35.0+k3s1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("no hop of that minor version lies between"));
}

TEST_F(Upgrade, TakesEveryNodeToTheTarget) {
  const ProcessResult result = K3saga({"upgrade", "--to", kTo, "--yes"});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(cluster_.Versions(), Each(Pair(::testing::_, kTo)));
  EXPECT_THAT(cluster_.Installs(), AllOf(::testing::SizeIs(5), Each(Pair(::testing::_, 1))));
  EXPECT_THAT(result.out, AllOf(HasSubstr("== Upgrade servers"),
                                HasSubstr("Done: every node runs v1.32.0+k3s1"), Not(HasSubstr("\x1b["))));

  const ProcessResult again = K3saga({"upgrade", "--to", kTo, "--yes"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.out, HasSubstr("Nothing to do"));
  EXPECT_THAT(K3saga({"history"}).out, HasSubstr("succeeded"));
  EXPECT_EQ(K3saga({"status", "--watch"}).exit_code, 0);
}

TEST_F(Upgrade, SpeaksJsonLineByLine) {
  const ProcessResult result = K3saga({"upgrade", "--to", kTo, "--yes", "-o", "json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::vector<std::string> lines = absl::StrSplit(result.out, '\n', absl::SkipEmpty());
  ASSERT_GT(lines.size(), 10u);
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto json = nlohmann::json::parse(lines[i], nullptr, false);
    ASSERT_TRUE(json.is_object()) << lines[i];
    EXPECT_EQ(json["type"], i + 1 < lines.size() ? "event" : "rollout");
    if (i + 1 < lines.size()) {
      EXPECT_EQ(json["number"], i + 1);
    }
  }
  EXPECT_EQ(nlohmann::json::parse(lines.back())["state"], "succeeded");
}

TEST_F(Upgrade, CompensatesAndSaysSo) {
  cluster_.FailInstall("s3");
  const ProcessResult result = K3saga({"upgrade", "--to", kTo, "--yes"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, AllOf(HasSubstr("== Restore from backup"), HasSubstr("Failed and compensated"),
                                HasSubstr("/readyz was never 200")));
  EXPECT_THAT(cluster_.Versions(), Each(Pair(::testing::_, FakeCluster::kFrom)));
}

TEST_F(Upgrade, CtrlCPausesAndResumeGoesOn) {
  cluster_.HoldInstall("s2");
  auto upgrade = Start({"upgrade", "--to", kTo, "--yes"}, "upgrade.log");
  ASSERT_TRUE(k3saga::testing::Eventually([&] { return cluster_.installing(); }, kLong));
  upgrade.Signal(SIGINT);
  ASSERT_TRUE(k3saga::testing::Eventually(
      [&] { return K3saga({"status"}).out.find("pausing") != std::string::npos; }, kLong));
  EXPECT_THAT(K3saga({"status"}).out, HasSubstr("Run by"));
  cluster_.Release();
  EXPECT_EQ(upgrade.Wait(kLong), 4);
  EXPECT_THAT(*ReadFile(At("upgrade.log")),
              AllOf(HasSubstr("what runs is let finish"), HasSubstr("resume 20")));
  EXPECT_EQ(cluster_.Installs()["s3"], 0) << "nothing new was started";

  const ProcessResult resumed = K3saga({"resume"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.out << resumed.err;
  EXPECT_THAT(cluster_.Versions(), Each(Pair(::testing::_, kTo)));
  EXPECT_THAT(cluster_.Installs(), Each(Pair(::testing::_, 1)));
}

TEST_F(Upgrade, ASecondCtrlCLeavesAtOnce) {
  cluster_.HoldInstall("s2");
  auto upgrade = Start({"upgrade", "--to", kTo, "--yes"}, "upgrade.log");
  ASSERT_TRUE(k3saga::testing::Eventually([&] { return cluster_.installing(); }, kLong));
  upgrade.Signal(SIGINT);
  ASSERT_TRUE(k3saga::testing::Eventually(
      [&] { return K3saga({"status"}).out.find("pausing") != std::string::npos; }, kLong));
  upgrade.Signal(SIGINT);
  EXPECT_EQ(upgrade.Wait(kLong), 4);
  EXPECT_THAT(K3saga({"status"}).out, HasSubstr("No process runs it"));
}

TEST_F(Upgrade, ATerminationLeavesAndAServiceGoesOn) {
  EXPECT_EQ(K3saga({"resume", "--unattended"}).exit_code, 0) << "no rollout yet";
  cluster_.HoldInstall("s2");
  auto upgrade = Start({"upgrade", "--to", kTo, "--yes"}, "upgrade.log");
  ASSERT_TRUE(k3saga::testing::Eventually([&] { return cluster_.installing(); }, kLong));
  const ProcessResult beside = K3saga({"resume", "--unattended"});
  EXPECT_EQ(beside.exit_code, 0) << beside.err;
  EXPECT_THAT(beside.out, HasSubstr("is run by"));
  upgrade.Signal(SIGTERM);
  EXPECT_EQ(upgrade.Wait(kLong), 4) << "it does not wait for the install";
  EXPECT_THAT(*ReadFile(At("upgrade.log")), AllOf(HasSubstr("Leaving"), HasSubstr("resume 20")));
  EXPECT_THAT(K3saga({"status"}).out, AllOf(HasSubstr("No process runs it"), Not(HasSubstr("paus"))));

  cluster_.Release();
  const ProcessResult service = K3saga({"resume", "--unattended"});
  EXPECT_EQ(service.exit_code, 0) << service.out << service.err;
  EXPECT_THAT(cluster_.Versions(), Each(Pair(::testing::_, kTo)));
  const ProcessResult after = K3saga({"resume", "--unattended"});
  EXPECT_EQ(after.exit_code, 0) << after.err;
  EXPECT_THAT(after.out, HasSubstr("No rollout is unfinished"));
}

TEST_F(Upgrade, AServiceLeavesAloneWhatAPersonPaused) {
  cluster_.HoldInstall("s2");
  auto upgrade = Start({"upgrade", "--to", kTo, "--yes"}, "upgrade.log");
  ASSERT_TRUE(k3saga::testing::Eventually([&] { return cluster_.installing(); }, kLong));
  EXPECT_EQ(K3saga({"pause"}).exit_code, 0);
  cluster_.Release();
  EXPECT_EQ(upgrade.Wait(kLong), 4);
  const ProcessResult service = K3saga({"resume", "--unattended"});
  EXPECT_EQ(service.exit_code, 0) << service.err;
  EXPECT_THAT(service.out, HasSubstr("was paused by"));
  EXPECT_EQ(cluster_.Installs()["s3"], 0);
  EXPECT_EQ(K3saga({"resume"}).exit_code, 0);
  EXPECT_THAT(cluster_.Versions(), Each(Pair(::testing::_, kTo)));
}

TEST_F(Upgrade, OtherTerminalsPauseResumeWatchAndAbort) {
  cluster_.HoldInstall("s2");
  auto upgrade = Start({"upgrade", "--to", kTo, "--yes"}, "upgrade.log");
  ASSERT_TRUE(k3saga::testing::Eventually([&] { return cluster_.installing(); }, kLong));
  EXPECT_EQ(K3saga({"upgrade", "--to", kTo, "--yes"}).exit_code, 3) << "one rollout at a time";
  EXPECT_EQ(K3saga({"pause"}).exit_code, 0);
  EXPECT_EQ(K3saga({"resume"}).exit_code, 0);
  auto watch = Start({"status", "--watch"}, "watch.log");
  ASSERT_TRUE(k3saga::testing::Eventually(
      [&] {
        return K3saga({"abort", "--yes"}).exit_code == 0 && Exists(At("watch.log"));
      },
      kLong));
  cluster_.Release();
  EXPECT_EQ(upgrade.Wait(kLong), 1);
  EXPECT_EQ(watch.Wait(kLong), 1);
  EXPECT_THAT(K3saga({"status"}).out, AllOf(HasSubstr("stopped"), HasSubstr("abort")));
}

TEST_F(Upgrade, AsksOnATerminalAndRedrawsInPlace) {
  cluster_.FailInstall("w2");
  const Ended ended =
      RunThere({"upgrade", "--to", kTo}, {"LC_ALL=C.UTF-8"}, "Upgrade shop-12 to v1.32.0+k3s1? [y/N]", "y\n");
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.shown, AllOf(HasSubstr("A\r\x1b[J"), HasSubstr("w2: install v1.32.0+k3s1 FAILED"),
                                 HasSubstr("\u2713")));
  if (const char* file = std::getenv("K3SAGA_KEEP_SCREEN")) {
    EXPECT_TRUE(WriteFileDurably(file, ended.shown).ok());  // to look at
  }
}

TEST_F(Upgrade, TakesNoForAnAnswer) {
  EXPECT_EQ(RunThere({"upgrade", "--to", kTo}, {}, "[y/N]", "\n").exit_code, 0);
  EXPECT_THAT(cluster_.Installs(), Each(Pair(::testing::_, 0)));
  EXPECT_EQ(K3saga({"status"}).exit_code, 2) << "nothing was begun";
}

TEST_F(Upgrade, PlanAndCheckTouchNothing) {
  const ProcessResult plan = K3saga({"plan", "--to", kTo});
  EXPECT_EQ(plan.exit_code, 0) << plan.out << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("install v1.32.0+k3s1"));
  EXPECT_EQ(K3saga({"check"}).exit_code, 0);
  EXPECT_EQ(K3saga({"plan", "--to", "v1.33.0+k3s1"}).exit_code, 3) << "a skipped minor";
  EXPECT_EQ(K3saga({"plan", "--to", "v1.30.0+k3s1"}).exit_code, 3) << "a downgrade";
  const auto nodes = nlohmann::json::parse(K3saga({"nodes", "-o", "json"}).out, nullptr, false);
  EXPECT_EQ(nodes["nodes"].size(), 5u);
  EXPECT_THAT(cluster_.Installs(), Each(Pair(::testing::_, 0)));
}

}  // namespace
}  // namespace k3saga::cli
