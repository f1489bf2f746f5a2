#include "tests/systemd/rollout.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_format.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/status_macros.h"

namespace k3saga::hosts {
namespace {

constexpr std::chrono::minutes kRolloutDeadline{15};
// Longer than real k3s's aftershocks come apart (a server that nobody touched crashes up to half a minute
// later).
constexpr std::chrono::seconds kRest{20};

// The fewest ready pods seen while it lives.
class PodCounter {
 public:
  explicit PodCounter(const Cluster& cluster)
      : fewest_(cluster.ReadyPods().value_or(0)), thread_([this, &cluster] {
          while (!stop_) {
            if (const absl::StatusOr<size_t> ready = cluster.ReadyPods(); ready.ok()) {
              fewest_ = std::min(fewest_.load(), *ready);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(500));
          }
        }) {}
  ~PodCounter() { Stop(); }
  size_t Stop() {
    stop_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
    return fewest_;
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<size_t> fewest_;
  std::thread thread_;
};

// The agents' processes and what they waited for, by /proc: systemd accounts CPU time only where cgroup v2,
// or v1 with cpu and cpuacct mounted together, lets it.
double CpuOfAgents(const Cluster& cluster, Hosts& hosts) {
  constexpr double kTicksPerSecond = 100;  // USER_HZ, an ABI
  double seconds = 0;
  for (const std::string& name : cluster.nodes()) {
    const absl::StatusOr<std::string> output =
        hosts.Output(name, {"bash", "-c",
                            "awk '{sub(/^.*\\) /, \"\"); print $12 + $13 + $14 + $15}' "
                            "/proc/$(systemctl show --property=MainPID --value k3saga-agent)/stat"});
    uint64_t ticks = 0;
    if (output.ok() && absl::SimpleAtoi(*output, &ticks)) {
      seconds += static_cast<double>(ticks) / kTicksPerSecond;
    }
  }
  return seconds;
}

// Agents and operations share a slice, which remembers what ended operations used. Nothing where systemd does
// not count.
std::optional<double> CpuOfSlices(const Cluster& cluster, Hosts& hosts) {
  double seconds = 0;
  for (const std::string& name : cluster.nodes()) {
    const absl::StatusOr<std::string> output =
        hosts.Output(name, {"systemctl", "show", "--property=CPUUsageNSec", "--value", "k3saga.slice"});
    uint64_t nanoseconds = 0;
    if (!output.ok() || !absl::SimpleAtoi(*output, &nanoseconds)) {
      return std::nullopt;
    }
    seconds += static_cast<double>(nanoseconds) / 1e9;
  }
  return seconds;
}

// By systemd's own messages ("unit starting").
int StartsOf(const Cluster& cluster, Hosts& hosts, const std::string& name, const std::string& since) {
  const absl::StatusOr<std::string> output =
      hosts.Output(name, {"journalctl", absl::StrCat("--since=@", since), "--output=cat", "--quiet",
                          "--no-pager", "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5",
                          absl::StrCat("UNIT=", cluster.Unit(name), ".service")});
  const std::vector<std::string> lines = absl::StrSplit(output.value_or(""), '\n', absl::SkipWhitespace());
  return static_cast<int>(lines.size());
}

bool AllAt(const std::vector<KubeNode>& nodes, const std::string& version) {
  return std::all_of(nodes.begin(), nodes.end(), [&](const KubeNode& node) {
    return node.ready && node.version == version && !node.unschedulable;
  });
}

}  // namespace

absl::StatusOr<RolloutReport> MeasureRollout(Cluster& cluster, const std::string& from,
                                             const std::string& to) {
  Hosts& hosts = cluster.hosts();
  RolloutReport report;
  report.from = from;
  report.to = to;
  std::map<std::string, std::string> before;
  for (const std::string& name : cluster.nodes()) {
    K3SAGA_ASSIGN_OR_RETURN(before[name], cluster.Configuration(name));
  }
  const double agents_before = CpuOfAgents(cluster, hosts);
  const std::optional<double> slices_before = CpuOfSlices(cluster, hosts);
  const std::string since = absl::StrCat(std::time(nullptr));

  std::vector<Watcher::Server> servers;
  for (const std::string& name : cluster.servers()) {
    servers.push_back({name, hosts.Address(name)});
  }
  Watcher watcher(hosts.network_namespace(), std::move(servers), cluster.access());
  PodCounter pods(cluster);
  watcher.Start();
  Background command(cluster.K3saga({"upgrade", "--to", to, "--yes"}), hosts.folder() + "/upgrade.log");
  double at_version = 0;
  const auto deadline = std::chrono::steady_clock::now() + kRolloutDeadline;
  const auto look = [&] {
    const absl::StatusOr<std::vector<KubeNode>> nodes = cluster.KubeNodes();
    if (nodes.ok() && !AllAt(*nodes, to)) {
      at_version = 0;
    } else if (nodes.ok() && at_version == 0) {
      at_version = watcher.Elapsed();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  };
  while (command.Running() && std::chrono::steady_clock::now() < deadline) {
    look();
  }
  K3SAGA_ASSIGN_OR_RETURN(const Background::Ended ended, command.Wait(std::chrono::seconds(1)));
  const auto rested = std::chrono::steady_clock::now() + kRest;
  while (std::chrono::steady_clock::now() < rested) {
    look();
  }
  report.fewest_pods = pods.Stop();
  report.seen = watcher.Stop();
  report.exit_code = ended.exit_code;
  report.seconds = ended.seconds;
  report.coordinator_cpu = ended.cpu_seconds;
  report.settled = std::max(report.seen.last_change, at_version);
  report.log = command.Log();
  report.agents_cpu = CpuOfAgents(cluster, hosts) - agents_before;
  const std::optional<double> slices = CpuOfSlices(cluster, hosts);
  if (slices_before.has_value() && slices.has_value()) {
    report.operations_cpu = *slices - *slices_before - report.agents_cpu;
  }
  report.pods_at_end = cluster.ReadyPods().value_or(0);

  K3SAGA_ASSIGN_OR_RETURN(const std::vector<KubeNode> nodes, cluster.KubeNodes());
  for (const KubeNode& node : nodes) {
    if (!node.ready) {
      report.not_ready.push_back(node.name);
    }
    if (node.unschedulable) {
      report.cordoned.push_back(node.name);
    }
  }
  for (const std::string& name : cluster.nodes()) {
    report.versions[name] = cluster.RunningVersion(name).value_or("unknown");
    report.starts[name] = StartsOf(cluster, hosts, name, since);
    if (cluster.Configuration(name).value_or("") != before[name]) {
      report.changed.push_back(name);
    }
  }
  return report;
}

std::vector<std::string> Shortcomings(const RolloutReport& report) {
  std::vector<std::string> found;
  const auto expect = [&](bool good, std::string what) {
    if (!good) {
      found.push_back(std::move(what));
    }
  };
  expect(report.exit_code == 0, absl::StrCat("k3saga exited ", report.exit_code));
  expect(report.seen.none_ready == 0,
         absl::StrFormat("no server was ready for %.1f s", report.seen.none_ready));
  expect(report.seen.two_unready == 0,
         absl::StrFormat("two servers were unready for %.1f s", report.seen.two_unready));
  expect(report.changed.empty(),
         absl::StrCat("configuration changed on ", absl::StrJoin(report.changed, " ")));
  expect(report.not_ready.empty(), absl::StrCat("not ready: ", absl::StrJoin(report.not_ready, " ")));
  expect(report.cordoned.empty(), absl::StrCat("left cordoned: ", absl::StrJoin(report.cordoned, " ")));
  for (const auto& [name, version] : report.versions) {
    expect(version == report.to, absl::StrCat(name, " runs ", version));
  }
  for (const auto& [name, starts] : report.starts) {
    expect(starts == 1, absl::StrCat("k3s on ", name, " was started ", starts, " times"));
  }
  return found;
}

std::string Print(const RolloutReport& report) {
  const auto list = [](const std::vector<std::string>& names) {
    return names.empty() ? std::string("none") : absl::StrJoin(names, " ");
  };
  std::string text =
      absl::StrFormat("rollout %s -> %s, exit code %d\n", report.from, report.to, report.exit_code);
  absl::StrAppendFormat(&text, "  the command took                  %7.1f s\n", report.seconds);
  absl::StrAppendFormat(&text, "  settled after                     %7.1f s\n", report.settled);
  absl::StrAppendFormat(&text, "  no server ready                   %7.1f s\n", report.seen.none_ready);
  absl::StrAppendFormat(&text, "  two or more servers not ready     %7.1f s\n", report.seen.two_unready);
  for (const auto& [server, seconds] : report.seen.unready) {
    absl::StrAppendFormat(&text, "    %-8s not ready               %7.1f s\n", server, seconds);
  }
  absl::StrAppendFormat(&text, "  longest gap between writes        %7.2f s (%d writes)\n",
                        report.seen.longest_write_gap, report.seen.writes);
  absl::StrAppendFormat(&text, "  fewest ready pods                 %5d, %d at the end\n", report.fewest_pods,
                        report.pods_at_end);
  absl::StrAppend(&text, "  unit, environment or configuration changed on: ", list(report.changed), "\n");
  absl::StrAppend(&text, "  not ready: ", list(report.not_ready), "; cordoned: ", list(report.cordoned),
                  "\n");
  for (const auto& [name, version] : report.versions) {
    absl::StrAppendFormat(&text, "    %-8s runs %s, k3s started %d times\n", name, version,
                          report.starts.at(name));
  }
  absl::StrAppendFormat(&text,
                        "  CPU: coordinator %.2f s, agents %.2f s, operations with their installers: %s\n",
                        report.coordinator_cpu, report.agents_cpu,
                        report.operations_cpu.has_value() ? absl::StrFormat("%.2f s", *report.operations_cpu)
                                                          : "not counted by this machine's systemd");
  for (const Observation::Change& change : report.seen.changes) {
    absl::StrAppendFormat(&text, "    %6.1f s %s %s\n", change.at, change.server,
                          change.ready ? "ready" : "not ready");
  }
  for (const std::string& shortcoming : Shortcomings(report)) {
    absl::StrAppend(&text, "  SHORTCOMING: ", shortcoming, "\n");
  }
  return text;
}

std::string ToJson(const RolloutReport& report) {
  const nlohmann::json json = {
      {"from", report.from},
      {"to", report.to},
      {"exit_code", report.exit_code},
      {"seconds", report.seconds},
      {"settled_seconds", report.settled},
      {"no_server_ready_seconds", report.seen.none_ready},
      {"two_servers_unready_seconds", report.seen.two_unready},
      {"unready_seconds", report.seen.unready},
      {"longest_write_gap_seconds", report.seen.longest_write_gap},
      {"writes", report.seen.writes},
      {"fewest_ready_pods", report.fewest_pods},
      {"ready_pods_at_end", report.pods_at_end},
      {"changed_configuration", report.changed},
      {"not_ready", report.not_ready},
      {"cordoned", report.cordoned},
      {"running_versions", report.versions},
      {"k3s_starts", report.starts},
      {"cpu_seconds",
       {{"coordinator", report.coordinator_cpu},
        {"agents", report.agents_cpu},
        {"operations",
         report.operations_cpu.has_value() ? nlohmann::json(*report.operations_cpu) : nlohmann::json()}}},
  };
  return json.dump(2) + "\n";
}

}  // namespace k3saga::hosts
