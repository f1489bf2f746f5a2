#include "lab/control/up.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "common/status_macros.h"
#include "lab/base/files.h"
#include "lab/base/network.h"
#include "lab/base/processes.h"
#include "lab/base/unix_socket.h"
#include "lab/control/cluster_client.h"
#include "lab/control/scaffold.h"
#include "lab/systemd/daemon.h"

namespace k3saga::lab {
namespace {

using std::filesystem::path;

constexpr std::chrono::seconds kDaemonDeadline{10};
constexpr std::chrono::seconds kDownDeadline{15};
constexpr std::chrono::seconds kWorkloadDeadline{10};
constexpr size_t kInstallersAtOnce = 4;

// The daemon: a child of nobody, holding the network's lock.
absl::Status StartDaemon(const Lab& lab) {
  const int pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "fork");
  if (pid == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    const int null = open("/dev/null", O_RDWR);
    const int log = open((lab.dir / "daemon.log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    if (chdir("/") != 0) _exit(1);
    const absl::Status status = RunDaemon(lab);
    if (!status.ok()) std::cerr << status.message() << std::endl;
    _exit(status.ok() ? 0 : 1);
  }
  waitpid(pid, nullptr, 0);
  if (!WaitUntil([&] { return IsUp(lab.dir); }, kDaemonDeadline)) {
    return absl::DeadlineExceededError(
        absl::StrCat("the lab's daemon did not start; see ", (lab.dir / "daemon.log").string()));
  }
  return absl::OkStatus();
}

absl::Status StartUnit(const Lab& lab, const std::string& node, const std::string& unit) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"enable", unit}, std::vector<std::string>{"start", "--no-block", unit}}) {
    K3SAGA_ASSIGN_OR_RETURN(
        nlohmann::json reply,
        AskDaemon(lab, {{"node", node}, {"program", "systemctl"}, {"arguments", arguments}}));
    if (reply.value("code", 1) != 0) return absl::InternalError(reply.value("err", "systemctl failed"));
  }
  return absl::OkStatus();
}

// The stand-in installer on one node, as a person would call it.
absl::Status InstallNode(const Lab& lab, const LabNode& node, const LabNode& first) {
  const Layout layout{lab.dir};
  const path root = layout.Root(node.name);
  SpawnRequest request;
  request.arguments = {"/bin/sh", layout.Installer().string()};
  request.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                         "INSTALL_K3S_VERSION=" + lab.version,
                         "GITHUB_URL=file://" + layout.Releases().string(),
                         "INSTALL_K3S_BIN_DIR=" + (root / "usr/local/bin").string(),
                         "INSTALL_K3S_SYSTEMD_DIR=" + (root / "etc/systemd/system").string(),
                         "K3SAGA_LAB_DIR=" + lab.dir.string(),
                         "K3S_TOKEN=" + lab.token};
  const std::string url = "https://" + first.address + ":6443";
  std::vector<std::string>& arguments = request.arguments;
  if (node.server) {
    arguments.insert(arguments.end(), {"server", "--disable", "traefik", "--write-kubeconfig-mode", "600"});
    if (node.name != first.name) arguments.insert(arguments.end(), {"--server", url});
    if (node.name == first.name && lab.datastore == "etcd") arguments.emplace_back("--cluster-init");
  } else {
    request.environment.push_back("K3S_URL=" + url);
    arguments.insert(arguments.end(), {"agent", "--node-label", "lab.k3saga/pool=workers"});
  }
  // All of this lab's nodes share the machine's host name.
  arguments.insert(arguments.end(), {"--node-name", node.name});
  request.log = layout.Node(node.name) / "journal/install.log";
  K3SAGA_ASSIGN_OR_RETURN(const int pid, SpawnChild(request));
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  auto log = ReadFile(request.log);
  return absl::InternalError(absl::StrCat("the installer failed on ", node.name, ":\n", log.value_or("")));
}

// The first server alone (the others join through it), then the rest, a few at a time.
absl::Status InstallAll(const Lab& lab) {
  const LabNode first = lab.Servers().front();
  K3SAGA_RETURN_IF_ERROR(InstallNode(lab, first, first));
  std::vector<LabNode> rest;
  for (const LabNode& node : lab.nodes) {
    if (node.name != first.name) rest.push_back(node);
  }
  std::atomic<size_t> next{0};
  std::vector<absl::Status> results(rest.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(rest.size(), kInstallersAtOnce); ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < rest.size(); at = next++) results[at] = InstallNode(lab, rest[at], first);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& result : results) K3SAGA_RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

// The names of nodes that are not what they should be yet.
std::vector<std::string> NotReady(const Lab& lab, ClusterClient& client) {
  auto nodes = ListNodes(client);
  std::vector<std::string> waiting;
  for (const LabNode& wanted : lab.nodes) {
    const bool found = nodes.ok() && std::any_of(nodes->begin(), nodes->end(), [&](const NodeLine& line) {
                         return line.name == wanted.name && line.ready && line.version == lab.version;
                       });
    if (!found) waiting.push_back(wanted.name);
  }
  for (const LabNode& server : lab.Servers()) {
    if (waiting.empty() && !client.IsReady(server, std::chrono::seconds(2))) waiting.push_back(server.name);
  }
  return waiting;
}

absl::Status WaitReady(const Lab& lab, int seconds) {
  ClusterClient client(lab);
  std::vector<std::string> waiting;
  const auto all_ready = [&] {
    waiting = NotReady(lab, client);
    return waiting.empty();
  };
  if (WaitUntil(all_ready, std::chrono::seconds(seconds), std::chrono::milliseconds(150)))
    return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("not Ready after ", seconds,
                                                  " s: ", absl::StrJoin(waiting, ", "),
                                                  " (logs: ", lab.dir.string(), "/nodes/NAME/journal)"));
}

// The workload as well: what runs is what a drain will meet.
void WaitForWorkload(const Lab& lab) {
  if (lab.Servers().size() == lab.nodes.size()) return;
  ClusterClient client(lab);
  (void)WaitUntil(
      [&] {
        auto budget = client.Call("GET", "/apis/policy/v1/namespaces/default/poddisruptionbudgets/web");
        return budget.ok() && NumberAt(*budget, {"status", "expectedPods"}) > 0 &&
               NumberAt(*budget, {"status", "currentHealthy"}) ==
                   NumberAt(*budget, {"status", "expectedPods"});
      },
      kWorkloadDeadline, std::chrono::milliseconds(150));
}

absl::Status StartEverything(const Lab& lab, const UpOptions& options) {
  K3SAGA_RETURN_IF_ERROR(StartDaemon(lab));
  if (options.agents) {
    for (const LabNode& node : lab.nodes) {
      K3SAGA_RETURN_IF_ERROR(StartUnit(lab, node.name, "k3saga-agent.service"));
    }
  }
  K3SAGA_RETURN_IF_ERROR(InstallAll(lab));
  if (options.release_server) K3SAGA_RETURN_IF_ERROR(StartUnit(lab, "lab", "releases.service"));
  K3SAGA_RETURN_IF_ERROR(WaitReady(lab, options.wait_seconds));
  WaitForWorkload(lab);
  if (options.observer && lab.datastore == "etcd") {
    K3SAGA_RETURN_IF_ERROR(StartUnit(lab, "lab", "observer.service"));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsUp(const path& dir) {
  return ExchangeLine(Layout{dir}.DaemonSocket(), R"({"lab":"ping"})", std::chrono::seconds(5)).ok();
}

absl::StatusOr<nlohmann::json> AskDaemon(const Lab& lab, const nlohmann::json& request) {
  K3SAGA_ASSIGN_OR_RETURN(std::string line, ExchangeLine(Layout{lab.dir}.DaemonSocket(), request.dump(),
                                                         std::chrono::minutes(2)));
  nlohmann::json reply = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!reply.is_object()) return absl::DataLossError("the daemon's answer is not JSON");
  return reply;
}

absl::Status Up(const UpOptions& options) {
  const path dir = std::filesystem::absolute(options.dir).lexically_normal();
  if (std::filesystem::exists(dir / "lab.json")) {
    if (IsUp(dir)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "a lab is up in ", dir.string(), "; end it with: k3saga-lab down --dir ", dir.string()));
    }
    K3SAGA_RETURN_IF_ERROR(Down(dir, /*remove=*/true));
  } else if (std::filesystem::exists(dir) && !std::filesystem::is_empty(dir)) {
    return absl::FailedPreconditionError(
        absl::StrCat(dir.string(), " is not empty and holds no lab; give an empty or a new folder"));
  }
  K3SAGA_ASSIGN_OR_RETURN(const Network network, AcquireNetwork());
  K3SAGA_ASSIGN_OR_RETURN(const Lab lab, Scaffold(options, dir, network.prefix));
  absl::Status started = StartEverything(lab, options);
  close(network.lock);
  if (!started.ok()) (void)Down(dir, /*remove=*/false);
  return started;
}

absl::Status Down(const path& given, bool remove) {
  const path dir = std::filesystem::absolute(given).lexically_normal();
  if (!std::filesystem::exists(dir / "lab.json")) return absl::OkStatus();
  const Layout layout{dir};
  (void)ExchangeLine(layout.DaemonSocket(), R"({"lab":"down"})", std::chrono::seconds(5));
  // The daemon ends everything below it. Should it have died, its children died with it; what they left is
  // found by the mark in its environment.
  const bool gone = WaitUntil(
      [&] {
        if (IsUp(dir)) return false;
        const std::vector<Process> left = ProcessesOfLab(dir);
        for (const Process& process : left) KillExactly(process);
        return left.empty();
      },
      kDownDeadline);
  if (!gone)
    return absl::DeadlineExceededError(absl::StrCat("processes of the lab in ", dir.string(), " do not end"));
  if (!remove) return absl::OkStatus();
  std::error_code error;
  for (const char* name :
       {"nodes", "releases", "identities", "cluster.yaml", "install.sh", "daemon.log", "daemon.sock",
        "daemon.pid", "observer.json", "observer.reset", "release-server.json", "state", "lab.json"}) {
    std::filesystem::remove_all(dir / name, error);
    if (error)
      return absl::UnavailableError(
          absl::StrCat("cannot remove ", (dir / name).string(), ": ", error.message()));
  }
  std::filesystem::remove(dir, error);  // only if nothing else is in it
  return absl::OkStatus();
}

}  // namespace k3saga::lab
