// The program as scripts see it: exit codes, stdout, stderr.
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "common/host/files.h"
#include "common/tls/identity.h"
#include "coordinator/cli/exit_code.h"
#include "coordinator/journal/sqlite_journal.h"
#include "tests/unit/coordinator/cli/workspace.h"
#include "tests/unit/coordinator/view/story.h"

namespace k3saga::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Program : public Workspace {
 protected:
  // Puts a rollout into the journal, as a process that is gone left it.
  void Remember(const view::Story& story) {
    auto journal =
        journal::SqliteJournal::OpenToWrite(At("state/shop-12/journal.db"), journal::ThisProcess());
    ASSERT_TRUE(journal.ok()) << journal.status();
    absl::Status status = (*journal)->Append(story.state().rollout(), 0, story.events());
    ASSERT_TRUE(status.ok()) << status;
  }
};

TEST_F(Program, InitWritesAClusterThatIsReadyToUse) {
  Init({"s1=server@127.0.0.1:1", "w1=worker@127.0.0.1:2"});
  struct stat about {};
  ASSERT_EQ(stat(At("identity/ca.key").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
  auto identity = tls::LoadIdentity(
      {At("identity/ca.crt"), At("identity/coordinator.crt"), At("identity/coordinator.key")}, time(nullptr));
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->self.cluster, "shop-12");
  EXPECT_EQ(identity->self.role, tls::PeerRole::kCoordinator);

  const ProcessResult again = K3saga({"init", "--name", "shop-12"});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("cluster.yaml: is there already"));
}

TEST_F(Program, InitRefusesWhatCannotBeWritten) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--name", "Shop 12"},
        {"--name", "shop", "--node", "s1"},
        {"--name", "shop", "--node", "s1=boss@10.0.0.1"},
        {"--name", "shop", "--node", "s1=server@10.0.0"},
        {"--name", "shop", "--node", "s1=server@10.0.0.1", "--node", "s1=worker@10.0.0.2"}}) {
    std::vector<std::string> all = {"init"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    EXPECT_EQ(K3saga(all).exit_code, 2);
    EXPECT_FALSE(Exists(At("cluster.yaml")));
  }
}

TEST_F(Program, IdentityIssuesWhatAnAgentNeeds) {
  Init();
  const ProcessResult issued = K3saga({"identity", "agent", "s1", "--out", At("s1")});
  ASSERT_EQ(issued.exit_code, 0) << issued.err;
  auto identity = tls::LoadIdentity({At("s1/ca.crt"), At("s1/agent.crt"), At("s1/agent.key")}, time(nullptr));
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->self, (tls::Peer{"shop-12", tls::PeerRole::kAgent, "s1"}));

  EXPECT_EQ(K3saga({"identity", "agent", "s1", "--out", At("s1")}).exit_code, 2)
      << "a key is never overwritten";
  const ProcessResult unknown = K3saga({"identity", "agent", "s2"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean s1?"));
}

TEST_F(Program, BadInputIsTwo) {
  EXPECT_THAT(K3saga({"nodes"}).err, HasSubstr("k3saga init"));
  EXPECT_EQ(K3saga({"nodes"}).exit_code, 2);
  Init();
  EXPECT_EQ(K3saga({"plan", "--to", "1.32"}).exit_code, 2);
  EXPECT_EQ(K3saga({"nodes", "show", "s9"}).exit_code, 2);
  EXPECT_EQ(K3saga({"status"}).exit_code, 2);
  EXPECT_EQ(K3saga({"history", "nosuch"}).exit_code, 2);
  EXPECT_EQ(K3saga({"resume"}).exit_code, 2);
  EXPECT_EQ(K3saga({"pause"}).exit_code, 2);
  EXPECT_EQ(K3saga({"plans", "render"}).exit_code, 2);
  ASSERT_EQ(chmod(At("identity/coordinator.key").c_str(), 0644), 0);
  const ProcessResult loose = K3saga({"nodes"});
  EXPECT_EQ(loose.exit_code, 2);
  EXPECT_THAT(loose.err, HasSubstr("chmod 600"));
}

TEST_F(Program, MistakesInTheClusterFileAreAllNamed) {
  Init();
  auto text = ReadFile(At("cluster.yaml"));
  ASSERT_TRUE(text.ok());
  ASSERT_TRUE(WriteFileDurably(At("cluster.yaml"), "naem: x\n" + *text + "gate2: {}\n").ok());
  const ProcessResult result = K3saga({"check"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("k3saga: cluster.yaml:1:1: naem: unknown key; did you mean \"name\"?"),
                    HasSubstr("gate2: unknown key; did you mean \"gate\"?")));
  EXPECT_EQ(result.out, "");
}

TEST_F(Program, UpgradeWithNobodyToAskNeedsYes) {
  Init();
  const ProcessResult result = K3saga({"upgrade", "--to", "v1.32.0+k3s1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--yes"));
  EXPECT_EQ(K3saga({"abort"}).exit_code, 2);
}

TEST_F(Program, AgentsThatDoNotAnswerAreRefusedByPreflight) {
  Init();
  const ProcessResult nodes = K3saga({"nodes"});
  EXPECT_EQ(nodes.exit_code, 1);
  EXPECT_THAT(nodes.out, HasSubstr("s1    server  unknown"));
  const ProcessResult check = K3saga({"check"});
  EXPECT_EQ(check.exit_code, 3);
  EXPECT_THAT(check.out, AllOf(HasSubstr("nothing was touched"), HasSubstr("is k3saga-agent running there")));
  const ProcessResult upgrade = K3saga({"upgrade", "--to", "v1.32.0+k3s1", "--yes", "-o", "json"});
  EXPECT_EQ(upgrade.exit_code, 3);
  const auto json = nlohmann::json::parse(upgrade.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << upgrade.out;
  EXPECT_EQ(json["outcome"], "refused");
  EXPECT_EQ(json["refusals"][0]["code"], "node_unreachable");
}

TEST_F(Program, AnUnfinishedRolloutHoldsTheCluster) {
  Init();
  view::Story story;
  story.TellHalf();
  Remember(story);
  const ProcessResult upgrade = K3saga({"upgrade", "--to", "v1.32.0+k3s1", "--yes"});
  EXPECT_EQ(upgrade.exit_code, 3);
  EXPECT_THAT(upgrade.out, AllOf(HasSubstr("20260131-142507-4f2a"), HasSubstr("k3saga resume")));

  const ProcessResult status = K3saga({"status"});
  EXPECT_EQ(status.exit_code, 0);
  EXPECT_THAT(status.out, AllOf(HasSubstr("installing"),
                                HasSubstr("No process runs it. Go on with: k3saga -f cluster.yaml "
                                          "resume 20260131-142507-4f2a")));
  EXPECT_EQ(K3saga({"status", "--watch"}).exit_code, 4);
  EXPECT_THAT(K3saga({"history"}).out, HasSubstr("not finished"));
  const auto json = nlohmann::json::parse(K3saga({"status", "-o", "json"}).out, nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["state"], "running");
  EXPECT_EQ(json["run_by"], nullptr);
}

TEST_F(Program, StatusAndHistoryShowTheCompensation) {
  Init();
  view::Story story;
  story.TellCompensated();
  Remember(story);
  EXPECT_THAT(K3saga({"status"}).out,
              AllOf(HasSubstr("compensated"), HasSubstr("Restore from backup"), HasSubstr("put back")));
  EXPECT_EQ(K3saga({"status", "--watch"}).exit_code, 1);
  EXPECT_THAT(K3saga({"history"}).out, HasSubstr("compensated"));
  EXPECT_THAT(K3saga({"history", "20260131-142507-4f2a"}).out,
              HasSubstr("14:25:17  == Restore from backup: s2: /readyz was not 200"));
  const auto list = nlohmann::json::parse(K3saga({"history", "-o", "json"}).out, nullptr, false);
  EXPECT_EQ(list["rollouts"][0]["state"], "compensated");
  const std::string exported = K3saga({"history", "export"}).out;
  EXPECT_EQ(static_cast<size_t>(std::count(exported.begin(), exported.end(), '\n')),
            story.events().size() + 1);
}

TEST_F(Program, ExitCodesAreExplained) {
  const ProcessResult help = K3saga({"help", "exit-codes"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.out, ExitCodesHelp());
  auto document = ReadFile(std::string(K3SAGA_DOCS) + "/exit-codes.md");
  ASSERT_TRUE(document.ok());
  for (ExitCode code :
       {ExitCode::kDone, ExitCode::kFailed, ExitCode::kUsage, ExitCode::kRefused, ExitCode::kPaused}) {
    const std::string number = std::to_string(static_cast<int>(code));
    EXPECT_THAT(help.out, HasSubstr("\n  " + number + "  "));
    EXPECT_THAT(*document, HasSubstr("\n| " + number + " | "));
  }
}

}  // namespace
}  // namespace k3saga::cli
