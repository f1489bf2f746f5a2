#include "coordinator/cli/options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <map>

#include "common/host/crash_point.h"
#include "common/version.h"

namespace k3saga::cli {
namespace {

// One member of the variant per command: whichever subcommand is parsed fills its own and becomes the
// command.
struct Parsed {
  InitCommand init;
  IssueAgentCommand issue_agent;
  IssueCoordinatorCommand issue_coordinator;
  NodesCommand nodes;
  CheckCommand check;
  PlanCommand plan;
  UpgradeCommand upgrade;
  RollbackCommand rollback;
  RestoreCommand restore;
  StatusCommand status;
  HistoryCommand history;
  ExportCommand export_events;
  ResumeCommand resume;
  AdoptCommand adopt;
  AbortCommand abort;
  BackupCommand backup;
  VerifyBackupCommand verify_backup;
  RenderPlansCommand render;
  AgentsUpgradeCommand agents_upgrade;
};

constexpr char kAllowOutage[] =
    "agree that the API, or etcd's quorum, is lost for a while (clusters of one or two servers)";

void AddUpgradeConsent(CLI::App& command, UpgradeConsent& consent) {
  command.add_flag("--allow-outage", consent.outage, kAllowOutage);
  command.add_flag(
      "--allow-changed-configuration", consent.changed_configuration,
      "agree that a node's unit or environment means something else afterwards; what changed is shown");
}

void AddHopOptions(CLI::App& command, HopOptions& hops) {
  command.add_flag(
      "--multi-hop", hops.multi_hop,
      "over several minor versions: one rollout a minor, each with its own backup and verification");
  command.add_option("--via", hops.via, "the release of a minor version in between; may be repeated");
}

void AddSetupCommands(CLI::App& app, Parsed& parsed, AnyCommand& command) {
  CLI::App* init =
      app.add_subcommand("init", "write a commented cluster.yaml, a certificate authority and your identity");
  init->add_option("--name", parsed.init.name, "the cluster's name: lower-case letters, digits, -")
      ->required();
  init->add_option("--node", parsed.init.nodes,
                   "NAME=ROLE@ADDRESS, such as s1=server@10.0.0.11; may be repeated");
  init->callback([&] { command = parsed.init; });

  CLI::App* identity = app.add_subcommand("identity", "issue certificates from the cluster's authority");
  identity->require_subcommand(1);
  CLI::App* agent = identity->add_subcommand("agent", "issue the identity of one node's agent");
  agent->add_option("NODE", parsed.issue_agent.node, "a node of cluster.yaml")->required();
  agent->add_option("--out", parsed.issue_agent.out, "folder to write to");
  agent->callback([&] { command = parsed.issue_agent; });
  CLI::App* coordinator =
      identity->add_subcommand("coordinator", "issue an identity for another person or machine");
  coordinator->add_option("NAME", parsed.issue_coordinator.name, "who or what will run k3saga with it")
      ->required();
  coordinator->add_option("--out", parsed.issue_coordinator.out, "folder to write to");
  coordinator->callback([&] { command = parsed.issue_coordinator; });

  CLI::App* plans = app.add_subcommand("plans", "Plans for Rancher's system-upgrade-controller");
  plans->require_subcommand(1);
  CLI::App* render = plans->add_subcommand("render", "print the Plan resources for this cluster file");
  render->add_option("--to", parsed.render.to, "the version; otherwise what the cluster file says");
  render->callback([&] { command = parsed.render; });
}

void AddAgentsCommands(CLI::App& app, Parsed& parsed, AnyCommand& command) {
  CLI::App* agents = app.add_subcommand("agents", "the agents themselves");
  agents->require_subcommand(1);
  CLI::App* upgrade = agents->add_subcommand(
      "upgrade", "bring the agents to another k3saga: one first, then the rest; k3s is not touched");
  AgentsUpgradeCommand& wanted = parsed.agents_upgrade;
  upgrade
      ->add_option(
          "PACKAGE", wanted.packages,
          "k3saga-agent_VERSION_ARCHITECTURE.deb (or the program, for agents from the tarball); one an "
          "architecture")
      ->required();
  upgrade->add_option("--node", wanted.nodes, "only this node; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  upgrade->add_flag("-y,--yes", wanted.yes, "do not ask before it starts");
  upgrade->add_flag("--allow-downgrade", wanted.allow_downgrade, "also where a newer agent runs");
  upgrade->add_flag("--during-rollout", wanted.during_rollout,
                    "also while a rollout holds the cluster: between its operations");
  upgrade->callback([&] { command = parsed.agents_upgrade; });
}

void AddReadingCommands(CLI::App& app, Parsed& parsed, AnyCommand& command) {
  CLI::App* nodes = app.add_subcommand("nodes", "show what every node runs");
  nodes->require_subcommand(0, 1);
  CLI::App* show = nodes->add_subcommand("show", "show everything that was read on one node, and where from");
  show->add_option("NODE", parsed.nodes.show, "a node of cluster.yaml")->required();
  nodes->callback([&] { command = parsed.nodes; });

  CLI::App* check = app.add_subcommand("check", "preflight alone: say what would be in the way");
  check->add_option("--to", parsed.check.to, "the version or channel; otherwise what the newest node runs");
  AddUpgradeConsent(*check, parsed.check.consent);
  check->callback([&] { command = parsed.check; });

  CLI::App* plan = app.add_subcommand("plan", "show the waves and every action; do nothing");
  plan->add_option("--to", parsed.plan.to, "the version (v1.32.0+k3s1) or channel (stable, latest, v1.32)")
      ->required();
  AddUpgradeConsent(*plan, parsed.plan.consent);
  AddHopOptions(*plan, parsed.plan.hops);
  plan->callback([&] { command = parsed.plan; });

  CLI::App* status = app.add_subcommand("status", "show a rollout: the unfinished one, else the last");
  status->add_option("ROLLOUT", parsed.status.rollout, "which one, by its id");
  status->add_flag("--watch", parsed.status.watch, "follow it until it ends or its process leaves");
  status->callback([&] { command = parsed.status; });

  CLI::App* history = app.add_subcommand("history", "list the rollouts, or tell one event by event");
  history->add_option("ROLLOUT", parsed.history.rollout, "which one, by its id");
  history->require_subcommand(0, 1);
  history->callback([&command, &parsed, history] {
    if (history->get_subcommands().empty()) command = parsed.history;
  });
  CLI::App* exported = history->add_subcommand("export", "print a rollout's events as JSON lines");
  exported->add_option("ROLLOUT", parsed.export_events.rollout, "which one, by its id; otherwise the last");
  exported->callback([&] { command = parsed.export_events; });
}

void AddConsent(CLI::App* command, WayBackConsent& consent) {
  command->add_flag("-y,--yes", consent.yes, "do not ask before it starts");
  command->add_flag("--accept-data-loss", consent.accept_data_loss,
                    "agree that writes since the backup are lost, where the datastore goes back");
}

void AddRollingCommands(CLI::App& app, Parsed& parsed, AnyCommand& command) {
  CLI::App* upgrade = app.add_subcommand("upgrade", "upgrade the whole cluster");
  upgrade
      ->add_option("--to", parsed.upgrade.to, "the version (v1.32.0+k3s1) or channel (stable, latest, v1.32)")
      ->required();
  upgrade->add_flag("-y,--yes", parsed.upgrade.yes, "do not ask before it starts");
  AddUpgradeConsent(*upgrade, parsed.upgrade.consent);
  AddHopOptions(*upgrade, parsed.upgrade.hops);
  upgrade->callback([&] { command = parsed.upgrade; });

  CLI::App* rollback = app.add_subcommand(
      "rollback", "undo an upgrade: kept binaries go back, over a minor version the datastore with them");
  rollback->add_option("ROLLOUT", parsed.rollback.rollout, "which upgrade, by its id; otherwise the last");
  AddConsent(rollback, parsed.rollback.consent);
  rollback->add_flag("--allow-outage", parsed.rollback.consent.allow_outage, kAllowOutage);
  rollback->callback([&] { command = parsed.rollback; });
  CLI::App* restore =
      app.add_subcommand("restore", "bring the datastore back from a backup, on every server");
  restore->add_option("--backup", parsed.restore.backup, "its id, as `k3saga backups` lists it")->required();
  AddConsent(restore, parsed.restore.consent);
  restore->callback([&] { command = parsed.restore; });

  CLI::App* pause = app.add_subcommand("pause", "start nothing new; what runs is let finish");
  pause->callback([&] { command = PauseCommand{}; });
  CLI::App* resume =
      app.add_subcommand("resume", "go on with a rollout that was paused or whose process is gone");
  CLI::Option* which = resume->add_option("ROLLOUT", parsed.resume.rollout, "which one, by its id");
  CLI::Option* take_over =
      resume->add_flag("--take-over", parsed.resume.take_over,
                       "although another machine holds it: that one is refused everywhere from then on");
  resume
      ->add_flag("--unattended", parsed.resume.unattended,
                 "only with what was cut off: what is paused stays so, and nothing to go on with is well")
      ->excludes(which)
      ->excludes(take_over);
  resume->callback([&] { command = parsed.resume; });
  CLI::App* adopt = app.add_subcommand(
      "adopt", "go on with a rollout of another machine whose journal is gone, from what the agents keep");
  adopt->add_flag("--take-over", parsed.adopt.take_over, "do not ask before it is taken over");
  adopt->callback([&] { command = parsed.adopt; });
  CLI::App* abort =
      app.add_subcommand("abort", "end a rollout: nothing new is started, our cordons are undone");
  abort->add_option("ROLLOUT", parsed.abort.rollout, "which one, by its id");
  abort->add_flag("-y,--yes", parsed.abort.yes, "do not ask");
  abort->callback([&] { command = parsed.abort; });
}

void AddBackupCommands(CLI::App& app, Parsed& parsed, AnyCommand& command) {
  CLI::App* backup = app.add_subcommand("backup", "take a backup of the datastore now, or verify one");
  backup->add_option("--node", parsed.backup.node, "the server whose agent takes it; otherwise a ready one");
  backup->require_subcommand(0, 1);
  backup->callback([&command, &parsed, backup] {
    if (backup->get_subcommands().empty()) command = parsed.backup;
  });
  CLI::App* verify = backup->add_subcommand(
      "verify", "read all of a backup, on its node and here, and compare it with its manifest");
  verify->add_option("ID", parsed.verify_backup.id, "as `backups` lists it")->required();
  verify->callback([&] { command = parsed.verify_backup; });
  CLI::App* backups = app.add_subcommand("backups", "list the backups on the nodes and on this machine");
  backups->callback([&] { command = BackupsCommand{}; });
}

}  // namespace

bool ParseOptions(int argc, const char* const* argv, Options* options, ExitCode* code) {
  CLI::App app(
      "k3saga upgrades k3s clusters: servers one at a time with etcd's quorum kept, workers in parallel, and "
      "a "
      "way back when something fails.",
      "k3saga");
  app.set_version_flag("--version", std::string("k3saga ") + K3SAGA_VERSION);
  app.add_flag_callback(
         "--list-crash-points",
         [] {
           for (const std::string& name : CrashPoint::All()) std::cout << name << "\n";
           throw CLI::Success();
         },
         "list where a test may let this program die")
      ->group("");
  app.require_subcommand(1);
  app.fallthrough();  // -f and --output may stand after the command too
  app.get_formatter()->column_width(34);
  const char* from_environment = std::getenv("K3SAGA_CLUSTER");
  options->cluster_file =
      from_environment != nullptr && *from_environment != '\0' ? from_environment : "cluster.yaml";
  app.add_option("-f,--file", options->cluster_file,
                 "the cluster file ($K3SAGA_CLUSTER, else ./cluster.yaml)");
  const std::map<std::string, OutputFormat> formats = {{"text", OutputFormat::kText},
                                                       {"json", OutputFormat::kJson}};
  app.add_option("-o,--output", options->output, "text | json")
      ->transform(CLI::CheckedTransformer(formats).description(""));
  app.footer("`k3saga help exit-codes` explains the exit codes.");

  Parsed parsed;
  AddSetupCommands(app, parsed, options->command);
  AddReadingCommands(app, parsed, options->command);
  AddRollingCommands(app, parsed, options->command);
  AddAgentsCommands(app, parsed, options->command);
  AddBackupCommands(app, parsed, options->command);

  bool topic_shown = false;
  CLI::App* help = app.add_subcommand("help", "help on a topic: exit-codes");
  std::string topic;
  help->add_option("TOPIC", topic, "exit-codes");
  help->callback([&] {
    std::cout << (topic == "exit-codes" ? ExitCodesHelp() : app.help());
    topic_shown = true;
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Prints the message, or the help that was asked for; 0 is what help gives.
    *code = app.exit(error) == 0 ? ExitCode::kDone : ExitCode::kUsage;
    return false;
  }
  if (topic_shown) {
    *code = ExitCode::kDone;
    return false;
  }
  return true;
}

}  // namespace k3saga::cli
