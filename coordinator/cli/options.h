#pragma once

#include <string>
#include <variant>
#include <vector>

#include "coordinator/cli/exit_code.h"

// The command line as a value.
namespace k3saga::cli {

enum class OutputFormat { kText, kJson };

struct InitCommand {
  std::string name;
  std::vector<std::string> nodes;  // "s1=server@10.0.0.11"
};
struct IssueAgentCommand {
  std::string node;
  std::string out;  // folder; "" = beside the coordinator's identity
};
struct IssueCoordinatorCommand {
  std::string name;
  std::string out;
};
struct NodesCommand {
  std::string show;  // "" = all of them, as a table
};
// What an upgrade would refuse and its user agreed to beforehand.
struct UpgradeConsent {
  bool outage = false;
  bool changed_configuration = false;
};
struct CheckCommand {
  std::string to;  // "" = what the newest node runs
  UpgradeConsent consent;
};
// Several minor versions in one verb.
struct HopOptions {
  bool multi_hop = false;
  std::vector<std::string> via;
};
struct PlanCommand {
  std::string to;
  UpgradeConsent consent;
  HopOptions hops;
};
struct UpgradeCommand {
  std::string to;
  bool yes = false;
  UpgradeConsent consent;
  HopOptions hops;
};
// What a rollback or restore was agreed to beforehand.
struct WayBackConsent {
  bool yes = false;
  bool allow_outage = false;
  bool accept_data_loss = false;
};
struct RollbackCommand {
  std::string rollout;  // "" = the last upgrade
  WayBackConsent consent;
};
struct RestoreCommand {
  std::string backup;
  WayBackConsent consent;
};
struct StatusCommand {
  std::string rollout;  // "" = the unfinished one, else the last
  bool watch = false;
};
struct HistoryCommand {
  std::string rollout;  // "" = the list
};
struct ExportCommand {
  std::string rollout;  // "" = the last
};
struct PauseCommand {};
struct ResumeCommand {
  std::string rollout;  // "" = the unfinished one
  bool take_over = false;
  bool unattended = false;  // only what was cut off
};
struct AdoptCommand {
  bool take_over = false;  // without a question
};
struct AbortCommand {
  std::string rollout;
  bool yes = false;
};
struct BackupCommand {
  std::string node;  // whose agent takes it; "" = a ready server's
};
struct BackupsCommand {};
struct VerifyBackupCommand {
  std::string id;
};
struct RenderPlansCommand {
  std::string to;
};
struct AgentsUpgradeCommand {
  std::vector<std::string> packages;  // files, one an architecture
  std::vector<std::string> nodes;     // none: all of them
  bool yes = false;
  bool allow_downgrade = false;
  bool during_rollout = false;
};

using AnyCommand =
    std::variant<InitCommand, IssueAgentCommand, IssueCoordinatorCommand, NodesCommand, CheckCommand,
                 PlanCommand, UpgradeCommand, RollbackCommand, RestoreCommand, StatusCommand, HistoryCommand,
                 ExportCommand, PauseCommand, ResumeCommand, AdoptCommand, AbortCommand, BackupCommand,
                 BackupsCommand, VerifyBackupCommand, RenderPlansCommand, AgentsUpgradeCommand>;

struct Options {
  std::string cluster_file;
  OutputFormat output = OutputFormat::kText;
  AnyCommand command;
};

// Parses. Otherwise (help was asked for, or something is wrong) fills `*code`, having printed what there is
// to say, and returns false.
bool ParseOptions(int argc, const char* const* argv, Options* options, ExitCode* code);

}  // namespace k3saga::cli
