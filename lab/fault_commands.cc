#include "lab/fault_commands.h"

#include <iostream>
#include <memory>

#include "lab/control/faults.h"

namespace k3saga::lab {
namespace {

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

// What the fault commands fill in; each uses a few of them.
struct Arguments {
  std::string dir;
  std::string node;
  std::string kind;
  std::string version;
  std::string what;
  std::vector<std::string> variables;
  int64_t millis = 0;
  int times = 1;
  bool clear = false;
  bool keep = false;
};
using Shared = std::shared_ptr<Arguments>;
using Effect = std::function<absl::Status(const Lab&, const Arguments&)>;

int Run(const Arguments& arguments, const Effect& effect) {
  auto lab = LoadLab(arguments.dir);
  const absl::Status status = lab.ok() ? effect(*lab, arguments) : lab.status();
  if (status.ok()) return 0;
  std::cerr << "k3saga-lab fault: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? kBadUsage : kFailed;
}

}  // namespace

void AddFaultCommands(CLI::App& app, std::function<int()>& action) {
  CLI::App* fault =
      app.add_subcommand("fault", "Make something go wrong (\"good\" or --clear takes it back)");
  auto all = std::make_shared<Arguments>();
  fault->add_option("--dir", all->dir, "The lab's folder")->required();
  fault->require_subcommand(1);
  fault->fallthrough();
  const auto add = [&](const std::string& name, const std::string& help, Effect effect) {
    CLI::App* command = fault->add_subcommand(name, help);
    command->fallthrough();
    command->callback(
        [all, effect = std::move(effect), &action] { action = [all, effect] { return Run(*all, effect); }; });
    return command;
  };

  CLI::App* release = add(
      "release", "A release in DIR/releases is bad",
      [](const Lab& lab, const Arguments& given) { return SetReleaseFault(lab, given.version, given.kind); });
  release->add_option("VERSION", all->version)->required();
  release
      ->add_option("KIND", all->kind,
                   "good | never-ready | crash | slow | wrong-version | corrupt | cut | missing")
      ->required();

  CLI::App* download =
      add("download", "Downloads from the release server (up --release-server) fail",
          [](const Lab& lab, const Arguments& given) { return SetDownloadFault(lab, given.kind); });
  download->add_option("KIND", all->kind, "good | slow | cut | corrupt | error")->required();

  CLI::App* node = add("node", "k3s on one node misbehaves from its next start",
                       [](const Lab& lab, const Arguments& given) {
                         return SetNodeFault(lab, given.node, given.kind, given.version, given.millis);
                       });
  node->add_option("NODE", all->node)->required();
  node->add_option(
          "KIND", all->kind,
          "good | never-ready | node-not-ready (k3s is well, its Node object is not) | crash | slow | "
          "overtaken (a server: exits 255 when another has been "
          "newer for a "
          "while; at once, without a restart) | reset-fails | reset-hangs | newer-credentials (a server "
          "refuses to join with its old server/tls)")
      ->required();
  node->add_option("--only", all->version, "Only while that version runs");
  node->add_option("--ms", all->millis,
                   "crash: after its start; slow: its start takes; overtaken: after the other's upgrade");

  CLI::App* installer =
      add("installer", "The installer fails on one node", [](const Lab& lab, const Arguments& given) {
        return SetInstallerFault(lab, given.node, given.kind, given.times);
      });
  installer->add_option("NODE", all->node)->required();
  installer
      ->add_option("STEP", all->kind, "start | halfway (the unit is deleted) | written (not started) | none")
      ->required();
  installer->add_option("--times", all->times, "How often")->capture_default_str();

  CLI::App* drain =
      add("drain", "A pod on one node may never be evicted",
          [](const Lab& lab, const Arguments& given) { return BlockDrain(lab, given.node, given.clear); });
  drain->add_option("NODE", all->node)->required();
  drain->add_flag("--clear", all->clear, "Take it back");

  CLI::App* velero = add("velero", "Velero is there, and behaves like this",
                         [](const Lab& lab, const Arguments& given) { return SetVelero(lab, given.kind); });
  velero->add_option("KIND", all->kind, "good | fails | hangs | restores-fail")->required();

  for (const std::string verb : {"kill", "pause", "resume"}) {
    const std::string help = verb == "kill"    ? "SIGKILL for a process"
                             : verb == "pause" ? "SIGSTOP"
                                               : "SIGCONT";
    CLI::App* command = add(verb, help, [verb](const Lab& lab, const Arguments& given) {
      return SignalProcess(lab, given.node, given.what, verb);
    });
    command->add_option("NODE", all->node)->required();
    command->add_option("WHAT", all->what, "k3s | agent | etcd | operation")->required();
  }

  CLI::App* environment = add("environment", "Variables for one node's agent, which is restarted",
                              [](const Lab& lab, const Arguments& given) {
                                return SetEnvironment(lab, given.node, given.variables, given.keep);
                              });
  environment->add_option("NODE", all->node)->required();
  environment->add_option("KEY=VALUE", all->variables, "Such as K3SAGA_CRASH_AT=NAME:N");
  environment->add_flag("--keep", all->keep,
                        "For everything that is started on the node, until it is given anew");

  CLI::App* reboot = add("reboot", "Kill everything on a node, then start what is enabled",
                         [](const Lab& lab, const Arguments& given) { return Reboot(lab, given.node); });
  reboot->add_option("NODE", all->node)->required();
}

}  // namespace k3saga::lab
