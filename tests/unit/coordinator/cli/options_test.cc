#include "coordinator/cli/options.h"

namespace k3saga::cli {
namespace {

struct Parsed {
  bool runs = false;
  Options options;
  ExitCode code = ExitCode::kFailed;
};

Parsed Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "k3saga");
  Parsed parsed;
  // What is printed on the way is looked at in program_test.
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  parsed.runs =
      ParseOptions(static_cast<int>(arguments.size()), arguments.data(), &parsed.options, &parsed.code);
  testing::internal::GetCapturedStdout();
  testing::internal::GetCapturedStderr();
  return parsed;
}

template <typename Command>
Command Get(const Parsed& parsed) {
  EXPECT_TRUE(parsed.runs);
  EXPECT_TRUE(std::holds_alternative<Command>(parsed.options.command));
  return std::holds_alternative<Command>(parsed.options.command) ? std::get<Command>(parsed.options.command)
                                                                 : Command{};
}

TEST(Options, EveryCommandBecomesItsValue) {
  EXPECT_EQ(
      Get<InitCommand>(Parse({"init", "--name", "shop", "--node", "s1=server@h", "--node", "w1=worker@h"}))
          .nodes.size(),
      2u);
  EXPECT_EQ(Get<IssueAgentCommand>(Parse({"identity", "agent", "s1", "--out", "/tmp/x"})).out, "/tmp/x");
  EXPECT_EQ(Get<IssueCoordinatorCommand>(Parse({"identity", "coordinator", "bob"})).name, "bob");
  EXPECT_EQ(Get<NodesCommand>(Parse({"nodes"})).show, "");
  EXPECT_EQ(Get<NodesCommand>(Parse({"nodes", "show", "s1"})).show, "s1");
  EXPECT_EQ(Get<CheckCommand>(Parse({"check"})).to, "");
  EXPECT_EQ(Get<PlanCommand>(Parse({"plan", "--to", "stable"})).to, "stable");
  EXPECT_TRUE(Get<UpgradeCommand>(Parse({"upgrade", "--to", "v1.32.0+k3s1", "-y"})).yes);
  const UpgradeConsent none = Get<UpgradeCommand>(Parse({"upgrade", "--to", "v1.32.0+k3s1"})).consent;
  EXPECT_FALSE(none.outage || none.changed_configuration);
  const auto agreed = [](const UpgradeConsent& consent) { return consent.changed_configuration; };
  constexpr char kAgree[] = "--allow-changed-configuration";
  EXPECT_TRUE(agreed(Get<CheckCommand>(Parse({"check", kAgree})).consent));
  EXPECT_TRUE(agreed(Get<PlanCommand>(Parse({"plan", "--to", "stable", kAgree})).consent));
  EXPECT_TRUE(agreed(Get<UpgradeCommand>(Parse({"upgrade", "--to", "stable", kAgree})).consent));
  EXPECT_TRUE(Get<StatusCommand>(Parse({"status", "--watch"})).watch);
  EXPECT_EQ(Get<StatusCommand>(Parse({"status", "20260131-142507-4f2a"})).rollout, "20260131-142507-4f2a");
  EXPECT_EQ(Get<HistoryCommand>(Parse({"history"})).rollout, "");
  EXPECT_EQ(Get<HistoryCommand>(Parse({"history", "x"})).rollout, "x");
  EXPECT_EQ(Get<ExportCommand>(Parse({"history", "export"})).rollout, "");
  EXPECT_EQ(Get<ExportCommand>(Parse({"history", "export", "x"})).rollout, "x");
  Get<PauseCommand>(Parse({"pause"}));
  EXPECT_EQ(Get<ResumeCommand>(Parse({"resume", "x"})).rollout, "x");
  EXPECT_TRUE(Get<ResumeCommand>(Parse({"resume", "--unattended"})).unattended);
  EXPECT_TRUE(Get<AbortCommand>(Parse({"abort", "--yes"})).yes);
  EXPECT_EQ(Get<BackupCommand>(Parse({"backup"})).node, "");
  EXPECT_EQ(Get<BackupCommand>(Parse({"backup", "--node", "s2"})).node, "s2");
  EXPECT_EQ(Get<VerifyBackupCommand>(Parse({"backup", "verify", "b1"})).id, "b1");
  Get<BackupsCommand>(Parse({"backups"}));
  EXPECT_EQ(Get<RenderPlansCommand>(Parse({"plans", "render", "--to", "v1.32.0+k3s1"})).to, "v1.32.0+k3s1");
  const auto agents = Get<AgentsUpgradeCommand>(
      Parse({"agents", "upgrade", "a.deb", "b.deb", "--node", "s1", "--node", "w1", "--yes"}));
  EXPECT_EQ(agents.packages, (std::vector<std::string>{"a.deb", "b.deb"}));
  EXPECT_EQ(agents.nodes, (std::vector<std::string>{"s1", "w1"}));
  EXPECT_TRUE(agents.yes);
  EXPECT_FALSE(agents.during_rollout);
}

TEST(Options, FileAndOutputMayStandOnEitherSide) {
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{"-f", "x.yaml", "--output", "json", "nodes"},
        {"nodes", "-f", "x.yaml", "-o", "json"}}) {
    const Parsed parsed = Parse(arguments);
    Get<NodesCommand>(parsed);
    EXPECT_EQ(parsed.options.cluster_file, "x.yaml");
    EXPECT_EQ(parsed.options.output, OutputFormat::kJson);
  }
}

TEST(Options, TheEnvironmentNamesTheFile) {
  setenv("K3SAGA_CLUSTER", "/etc/shop.yaml", 1);
  EXPECT_EQ(Parse({"nodes"}).options.cluster_file, "/etc/shop.yaml");
  EXPECT_EQ(Parse({"-f", "x.yaml", "nodes"}).options.cluster_file, "x.yaml");
  unsetenv("K3SAGA_CLUSTER");
  EXPECT_EQ(Parse({"nodes"}).options.cluster_file, "cluster.yaml");
}

TEST(Options, EverythingElseIsBadUsage) {
  for (const std::vector<const char*>& arguments : {std::vector<const char*>{},
                                                    {"upgrade"},
                                                    {"upgrde", "--to", "x"},
                                                    {"nodes", "--to", "x"},
                                                    {"-o", "xml", "nodes"},
                                                    {"identity"},
                                                    {"identity", "agent"},
                                                    {"plans"},
                                                    {"nodes", "show"},
                                                    {"resume", "--unattended", "--take-over"},
                                                    {"resume", "--unattended", "x"},
                                                    {"pause", "x", "y"}}) {
    const Parsed parsed = Parse(arguments);
    EXPECT_FALSE(parsed.runs);
    EXPECT_EQ(parsed.code, ExitCode::kUsage);
  }
}

TEST(Options, HelpIsNoError) {
  for (const std::vector<const char*>& arguments : {std::vector<const char*>{"--help"},
                                                    {"--version"},
                                                    {"upgrade", "--help"},
                                                    {"help"},
                                                    {"help", "exit-codes"}}) {
    const Parsed parsed = Parse(arguments);
    EXPECT_FALSE(parsed.runs);
    EXPECT_EQ(parsed.code, ExitCode::kDone);
  }
}

}  // namespace
}  // namespace k3saga::cli
