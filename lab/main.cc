// k3saga-lab: a k3s cluster on one machine, to try k3saga on and to test it with.
#include <absl/synchronization/mutex.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <iostream>

#include "lab/control/cluster_client.h"
#include "lab/control/observer.h"
#include "lab/control/release_server.h"
#include "lab/control/up.h"
#include "lab/fault_commands.h"

namespace {

using k3saga::lab::Lab;
using k3saga::lab::LabNode;
using k3saga::lab::UpOptions;
using nlohmann::json;

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

int Finish(const absl::Status& status) {
  if (status.ok()) return 0;
  std::cerr << "k3saga-lab: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? kBadUsage : kFailed;
}

void AddUp(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<UpOptions>();
  CLI::App* up = app.add_subcommand("up", "Start a lab and wait until every node is Ready");
  up->add_option("--dir", options->dir, "The lab's folder: new, empty, or of a lab that is down")->required();
  up->add_option("--servers", options->servers, "Servers, each with a real etcd member")
      ->capture_default_str();
  up->add_option("--workers", options->workers, "Workers")->capture_default_str();
  up->add_option("--version", options->version, "What the nodes run at first")->capture_default_str();
  up->add_option("--releases", options->releases, "Further versions to have in DIR/releases");
  up->add_flag("!--no-agents", options->agents, "Do not start k3saga-agent on the nodes");
  up->add_flag("!--no-observer", options->observer, "Do not watch and write all along");
  up->add_flag("--release-server", options->release_server,
               "cluster.yaml takes releases over HTTP (faults: slow, cut)");
  up->add_flag("--sqlite", options->sqlite, "A single server with SQLite instead of etcd");
  up->add_option("--settle-time", options->settle_time, "In cluster.yaml")->capture_default_str();
  up->add_option("--health-timeout", options->health_timeout, "In cluster.yaml")->capture_default_str();
  up->add_option("--max-unavailable", options->max_unavailable, "Of the workers, in cluster.yaml");
  up->add_option("--canary", options->canary, "In cluster.yaml")->capture_default_str();
  up->add_option("--server-start-ms", options->timings.server_start_ms, "A server's start takes at least")
      ->capture_default_str();
  up->add_option("--worker-start-ms", options->timings.worker_start_ms, "A worker's start takes at least")
      ->capture_default_str();
  up->add_option("--heartbeat-ms", options->timings.heartbeat_ms, "Between a node's heartbeats")
      ->capture_default_str();
  up->add_option("--restart-ms", options->timings.restart_sec_ms, "RestartSec of k3s's units")
      ->capture_default_str();
  up->add_option("--wait-seconds", options->wait_seconds, "For all nodes to get Ready")
      ->capture_default_str();
  up->callback([options, &action] {
    action = [options] {
      const auto begin = std::chrono::steady_clock::now();
      const absl::Status status = Up(*options);
      if (!status.ok()) return Finish(status);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      std::cout << "The lab is up: " << options->servers << " servers and " << options->workers
                << " workers at " << options->version << ", all Ready after "
                << static_cast<int>(took.count() * 10) / 10.0 << " s.\n"
                << "  cluster file: " << (options->dir / "cluster.yaml").string() << "\n"
                << "  end it with:  k3saga-lab down --dir " << options->dir.string() << "\n";
      return 0;
    };
  });
}

void AddDown(CLI::App& app, std::function<int()>& action) {
  auto dir = std::make_shared<std::string>();
  auto remove = std::make_shared<bool>(false);
  CLI::App* down = app.add_subcommand("down", "End every process of a lab");
  down->add_option("--dir", *dir, "The lab's folder")->required();
  down->add_flag("--remove", *remove, "Remove the lab's files as well");
  down->callback([=, &action] { action = [=] { return Finish(k3saga::lab::Down(*dir, *remove)); }; });
}

int PrintStatus(const std::string& dir, bool as_json) {
  auto lab = k3saga::lab::LoadLab(dir);
  if (!lab.ok()) return Finish(lab.status());
  k3saga::lab::ClusterClient client(*lab);
  const bool up = k3saga::lab::IsUp(lab->dir);
  auto lines = k3saga::lab::ListNodes(client);
  json nodes = json::array();
  for (const LabNode& node : lab->nodes) {
    json shown = {{"name", node.name},       {"role", node.server ? "server" : "worker"},
                  {"address", node.address}, {"version", ""},
                  {"ready", false},          {"cordoned", false}};
    for (const auto& line : lines.ok() ? *lines : std::vector<k3saga::lab::NodeLine>()) {
      if (line.name != node.name) continue;
      shown["version"] = line.version;
      shown["ready"] = line.ready;
      shown["cordoned"] = line.cordoned;
    }
    nodes.push_back(std::move(shown));
  }
  if (as_json) {
    std::cout << json{{"up", up}, {"network", lab->network}, {"nodes", nodes}}.dump(2) << "\n";
    return 0;
  }
  std::cout << "lab in " << lab->dir.string() << ": " << (up ? "up" : "down") << "\n";
  for (const json& node : nodes) {
    std::cout << "  " << node["name"].get<std::string>() << "\t" << node["role"].get<std::string>() << "\t"
              << node["address"].get<std::string>() << "\t" << node["version"].get<std::string>() << "\t"
              << (node["ready"].get<bool>() ? "Ready" : "NotReady")
              << (node["cordoned"].get<bool>() ? ",cordoned" : "") << "\n";
  }
  return 0;
}

void AddStatus(CLI::App& app, std::function<int()>& action) {
  auto dir = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>("text");
  CLI::App* status = app.add_subcommand("status", "Show the nodes as the cluster sees them");
  status->add_option("--dir", *dir, "The lab's folder")->required();
  status->add_option("--output", *output, "text or json")->check(CLI::IsMember({"text", "json"}));
  status->callback([=, &action] { action = [=] { return PrintStatus(*dir, *output == "json"); }; });
}

void AddListVersions(CLI::App& app, std::function<int()>& action) {
  auto dir = std::make_shared<std::string>();
  CLI::App* list = app.add_subcommand("list-versions", "List the releases in a lab's folder");
  list->add_option("--dir", *dir, "The lab's folder")->required();
  list->callback([=, &action] {
    action = [=] {
      auto lab = k3saga::lab::LoadLab(*dir);
      if (!lab.ok()) return Finish(lab.status());
      for (const auto& entry : std::filesystem::directory_iterator(lab->dir / "releases")) {
        if (!entry.is_symlink()) std::cout << entry.path().filename().string() << "\n";
      }
      return 0;
    };
  });
}

// `observer` and `releases`: what the lab's daemon runs. Not for people, so without a word in the help.
void AddPieces(CLI::App& app, std::function<int()>& action) {
  for (const std::string piece : {"observer", "releases"}) {
    auto dir = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand(piece)->group("");
    command->add_option("--dir", *dir)->required();
    command->callback([=, &action] {
      action = [=] {
        auto lab = k3saga::lab::LoadLab(*dir);
        if (!lab.ok()) return Finish(lab.status());
        return Finish(piece == "observer" ? RunObserver(*lab) : RunReleaseServer(*lab));
      };
    });
  }
}

int PrintReport(const std::string& dir, bool as_json, bool reset) {
  auto lab = k3saga::lab::LoadLab(dir);
  if (!lab.ok()) return Finish(lab.status());
  if (reset) return Finish(ResetReport(*lab));
  auto report = ReadReport(*lab);
  if (!report.ok()) return Finish(report.status());
  std::cout << (as_json ? report->dump(2) + "\n" : k3saga::lab::ReportText(*report));
  return 0;
}

void AddReport(CLI::App& app, std::function<int()>& action) {
  auto dir = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>("text");
  auto reset = std::make_shared<bool>(false);
  CLI::App* report =
      app.add_subcommand("report", "What a client of the cluster saw: gaps, members, nodes down");
  report->add_option("--dir", *dir, "The lab's folder")->required();
  report->add_option("--output", *output, "text or json")->check(CLI::IsMember({"text", "json"}));
  report->add_flag("--reset", *reset, "Forget what was seen and begin anew");
  report->callback([=, &action] { action = [=] { return PrintReport(*dir, *output == "json", *reset); }; });
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // A peer that goes away is an error to handle. What the lab starts inherits this, as it does from systemd.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app{"A k3s cluster on one machine: simulated k3s over real etcd, faults on demand"};
  app.set_version_flag("--version", std::string("k3saga-lab ") + K3SAGA_VERSION);
  app.require_subcommand(1);
  std::function<int()> action;
  AddUp(app, action);
  AddDown(app, action);
  AddStatus(app, action);
  AddListVersions(app, action);
  AddReport(app, action);
  k3saga::lab::AddFaultCommands(app, action);
  AddPieces(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadUsage;
  }
  return action();
}
