#include "tests/systemd/cluster.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "common/host/files.h"
#include "common/status_macros.h"
#include "tests/support/eventually.h"
#include "tests/systemd/network.h"

namespace k3saga::hosts {
namespace {

using nlohmann::json;

constexpr char kToken[] = "k3saga-test-token";
constexpr char kClusterName[] = "hosts";
constexpr char kFolder[] = "/root/cluster";
constexpr char kWorkload[] = "/apis/apps/v1/namespaces/default/replicasets";

// Runs `work` for every name at the same time; the first error.
absl::Status ForEach(const std::vector<std::string>& names,
                     const std::function<absl::Status(const std::string&)>& work) {
  std::vector<absl::Status> results(names.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < names.size(); ++i) {
    threads.emplace_back([&, i] { results[i] = work(names[i]); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (absl::Status& result : results) {
    K3SAGA_RETURN_IF_ERROR(result);
  }
  return absl::OkStatus();
}

// Copies a package's file name: k3saga-agent_0.1.0_amd64.deb.
absl::StatusOr<std::string> PackageFile(std::string_view package) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(PackagesFolder(), error)) {
    const std::string name = entry.path().filename().string();
    if (absl::StartsWith(name, absl::StrCat(std::string(package), "_")) && absl::EndsWith(name, ".deb")) {
      return name;
    }
  }
  return absl::NotFoundError(absl::StrCat("no ", std::string(package), " package in ", PackagesFolder(),
                                          "; build the target `packages`"));
}

bool IsTrue(const json& object, const char* type) {
  for (const json& condition : object.value("/status/conditions"_json_pointer, json::array())) {
    if (condition.value("type", "") == type) {
      return condition.value("status", "") == "True";
    }
  }
  return false;
}

}  // namespace

std::string PackagesFolder() { return absl::StrCat(K3SAGA_BUILD_DIR, "/packages"); }

absl::StatusOr<std::vector<std::string>> DependenciesOfPackages() {
  std::set<std::string> names;
  for (const char* package : {"k3saga", "k3saga-agent", "k3saga-lab"}) {
    K3SAGA_ASSIGN_OR_RETURN(const std::string file, PackageFile(package));
    K3SAGA_ASSIGN_OR_RETURN(
        const std::string depends,
        RunForOutput({.argv = {"dpkg-deb", "-f", PackagesFolder() + "/" + file, "Depends"},
                      .environment = PlainEnvironment()}));
    for (absl::string_view dependency : absl::StrSplit(depends, ',')) {
      const std::vector<std::string> words =
          absl::StrSplit(dependency, absl::ByAnyChar(" \n|"), absl::SkipEmpty());
      if (!words.empty() && !absl::StartsWith(words[0], "k3saga")) {
        names.insert(words[0]);
      }
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

absl::StatusOr<std::unique_ptr<Cluster>> Cluster::Start(const K3sSource& source,
                                                        const ClusterOptions& options) {
  auto cluster = std::unique_ptr<Cluster>(new Cluster(source, options));
  for (size_t i = 1; i <= options.servers; ++i) {
    cluster->servers_.push_back(absl::StrCat("s", i));
  }
  for (size_t i = 1; i <= options.workers; ++i) {
    cluster->workers_.push_back(absl::StrCat("w", i));
  }
  HostsOptions hosts{
      .names = cluster->nodes(),
      .read_only = {{source.Releases(), kReleasesOnHost},
                    {source.InstallerFolder(), std::filesystem::path(kInstallerOnHost).parent_path()},
                    {PackagesFolder(), kPackagesOnHost}}};
  hosts.names.push_back(kOperator);
  K3SAGA_ASSIGN_OR_RETURN(hosts.debian_packages, DependenciesOfPackages());
  K3SAGA_ASSIGN_OR_RETURN(cluster->hosts_, Hosts::Boot(hosts));
  K3SAGA_RETURN_IF_ERROR(cluster->InstallK3s());
  K3SAGA_RETURN_IF_ERROR(cluster->InstallPackages());
  K3SAGA_RETURN_IF_ERROR(cluster->GiveIdentities());
  K3SAGA_RETURN_IF_ERROR(cluster->AwaitReady());
  K3SAGA_RETURN_IF_ERROR(cluster->StartWorkload());
  return cluster;
}

std::vector<std::string> Cluster::nodes() const {
  std::vector<std::string> all = servers_;
  all.insert(all.end(), workers_.begin(), workers_.end());
  return all;
}

bool Cluster::IsServer(std::string_view name) const {
  return std::find(servers_.begin(), servers_.end(), name) != servers_.end();
}

std::string Cluster::Unit(std::string_view name) const { return IsServer(name) ? "k3s" : "k3s-agent"; }

// --- k3s, as a user installs it
// ---------------------------------------------------------------------------------------

absl::Status Cluster::RunInstaller(const std::string& name, const std::vector<std::string>& environment,
                                   std::vector<std::string> arguments) {
  K3SAGA_RETURN_IF_ERROR(source_.Prepare(*hosts_, name));
  K3SAGA_RETURN_IF_ERROR(
      hosts_
          ->Output(name, {"install", "--mode=755",
                          absl::StrCat(kReleasesOnHost, "/", options_.version, "/k3s"), "/usr/local/bin/k3s"})
          .status());
  std::vector<std::string> argv = {"env", "INSTALL_K3S_SKIP_DOWNLOAD=true",
                                   "INSTALL_K3S_BIN_DIR=/usr/local/bin",
                                   "INSTALL_K3S_SYSTEMD_DIR=/etc/systemd/system"};
  argv.insert(argv.end(), environment.begin(), environment.end());
  argv.push_back(kInstallerOnHost);
  arguments.push_back(absl::StrCat("--node-ip=", hosts_->Address(name)));
  const std::vector<std::string> flags = source_.Flags(IsServer(name));
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const absl::Status installed = hosts_->Output(name, argv, std::chrono::minutes(5)).status();
  if (installed.ok()) {
    return installed;
  }
  const absl::StatusOr<std::string> journal =
      hosts_->Output(name, {"journalctl", "--unit", Unit(name), "--lines=20", "--output=cat", "--no-pager"});
  return absl::Status(installed.code(),
                      absl::StrCat(std::string(installed.message()), "\n", journal.value_or("")));
}

absl::Status Cluster::InstallServer(const std::string& name, bool first) {
  const std::string join =
      first ? "--cluster-init" : absl::StrCat("--server=https://", hosts_->Address("s1"), ":6443");
  return RunInstaller(name, {absl::StrCat("K3S_TOKEN=", kToken)}, {"server", join});
}

absl::Status Cluster::InstallWorker(const std::string& name) {
  return RunInstaller(
      name,
      {absl::StrCat("K3S_URL=https://", hosts_->Address("s1"), ":6443"), absl::StrCat("K3S_TOKEN=", kToken)},
      {"agent"});
}

absl::Status Cluster::InstallK3s() {
  K3SAGA_RETURN_IF_ERROR(InstallServer("s1", true));
  const std::string tls = "/var/lib/rancher/k3s/server/tls/";
  K3SAGA_ASSIGN_OR_RETURN(access_.ca_pem, hosts_->ReadFile("s1", tls + "server-ca.crt"));
  K3SAGA_ASSIGN_OR_RETURN(access_.certificate_pem, hosts_->ReadFile("s1", tls + "client-admin.crt"));
  K3SAGA_ASSIGN_OR_RETURN(access_.key_pem, hosts_->ReadFile("s1", tls + "client-admin.key"));
  absl::Status joined;
  std::thread workers(
      [&] { joined = ForEach(workers_, [this](const std::string& name) { return InstallWorker(name); }); });
  absl::Status status;
  for (size_t i = 1; i < servers_.size() && status.ok(); ++i) {  // one etcd member joins at a time
    status = InstallServer(servers_[i], false);
  }
  workers.join();
  K3SAGA_RETURN_IF_ERROR(status);
  return joined;
}

// --- k3saga, as docs/install.md says
// ------------------------------------------------------------------------------------

absl::Status Cluster::InstallPackages() {
  return ForEach(hosts_->names(), [this](const std::string& name) -> absl::Status {
    K3SAGA_ASSIGN_OR_RETURN(const std::string file,
                            PackageFile(name == kOperator ? "k3saga" : "k3saga-agent"));
    return hosts_->Output(name, {"dpkg", "--install", absl::StrCat(kPackagesOnHost, "/", file)}).status();
  });
}

absl::Status Cluster::GiveIdentities() {
  const std::string file = absl::StrCat(kFolder, "/cluster.yaml");
  K3SAGA_RETURN_IF_ERROR(hosts_->Output(kOperator, {"mkdir", "-p", kFolder}).status());
  K3SAGA_RETURN_IF_ERROR(
      hosts_->Output(kOperator, {"k3saga", "-f", file, "init", "--name", kClusterName}).status());
  K3SAGA_RETURN_IF_ERROR(hosts_->WriteFile(kOperator, file, ClusterFile()));
  return ForEach(nodes(), [&](const std::string& name) -> absl::Status {
    K3SAGA_RETURN_IF_ERROR(
        hosts_->Output(kOperator, {"k3saga", "-f", file, "identity", "agent", name}).status());
    for (const auto& [issued, mode] : {std::pair{"ca.crt", 0644}, {"agent.crt", 0644}, {"agent.key", 0600}}) {
      K3SAGA_ASSIGN_OR_RETURN(
          std::string content,
          hosts_->ReadFile(kOperator, absl::StrCat(kFolder, "/identity/", name, "/", issued)));
      K3SAGA_RETURN_IF_ERROR(
          hosts_->WriteFile(name, absl::StrCat("/etc/k3saga/", issued), std::move(content), mode));
    }
    K3SAGA_RETURN_IF_ERROR(hosts_
                               ->Output(name, {"sed", "-i", absl::StrCat("s/^node:.*/node: ", name, "/"),
                                               "/etc/k3saga/agent.yaml"})
                               .status());
    // Type=notify: returns when the agent serves.
    return hosts_->Output(name, {"systemctl", "start", "k3saga-agent"}).status();
  });
}

std::string Cluster::ClusterFile() const {
  std::string file = absl::StrCat("name: ", kClusterName, "\ndistribution: k3s\n",
                                  "identity: {ca: identity/ca.crt, certificate: identity/coordinator.crt, "
                                  "key: identity/coordinator.key}\nnodes:\n");
  for (const std::string& name : nodes()) {
    absl::StrAppend(&file, "- {name: ", name, ", role: ", IsServer(name) ? "server" : "worker",
                    ", agent: ", hosts_->Address(name), "}\n");
  }
  absl::StrAppend(&file, "release: {source: ", kReleasesOnHost, ", installer: ", kInstallerOnHost, "}\n");
  absl::StrAppend(&file, "policies:\n  servers: {settle_time: ", options_.settle_time,
                  ", health_timeout: ", options_.health_timeout, "}\n");
  absl::StrAppend(&file, "  workers: {health_timeout: ", options_.health_timeout,
                  ", canary: ", options_.canary, ", max_unavailable: ", options_.max_unavailable, "}\n");
  return file;
}

std::vector<std::string> Cluster::K3saga(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv = {"k3saga", "--file", absl::StrCat(kFolder, "/cluster.yaml")};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return hosts_->CommandIn(kOperator, argv);
}

absl::StatusOr<ProcessResult> Cluster::RunK3saga(const std::vector<std::string>& arguments,
                                                 std::chrono::milliseconds deadline) const {
  return k3saga::Run({.argv = K3saga(arguments), .environment = PlainEnvironment(), .deadline = deadline});
}

// --- What the cluster looks like
// ----------------------------------------------------------------------------------------

absl::StatusOr<KubeReply> Cluster::Ask(std::string_view method, std::string_view path,
                                       std::string_view body) const {
  absl::StatusOr<KubeReply> reply = absl::UnavailableError("no server");
  K3SAGA_RETURN_IF_ERROR(InNetwork(hosts_->network_namespace(), [&] {
    for (const std::string& server : servers_) {
      reply = KubeClient(hosts_->Address(server), &access_).Ask(method, path, body, std::chrono::seconds(5));
      if (reply.ok() && reply->code < 500) {
        break;
      }
    }
    return absl::OkStatus();
  }));
  return reply;
}

absl::StatusOr<std::vector<KubeNode>> Cluster::KubeNodes() const {
  K3SAGA_ASSIGN_OR_RETURN(const KubeReply reply, Ask("GET", "/api/v1/nodes"));
  const json list = json::parse(reply.body, nullptr, false);
  if (reply.code != 200 || !list.contains("items")) {
    return absl::UnavailableError(absl::StrCat("nodes: ", reply.code, " ", reply.body.substr(0, 200)));
  }
  std::vector<KubeNode> nodes;
  for (const json& item : list["items"]) {
    nodes.push_back({.name = item.value("/metadata/name"_json_pointer, ""),
                     .version = item.value("/status/nodeInfo/kubeletVersion"_json_pointer, ""),
                     .ready = IsTrue(item, "Ready"),
                     .unschedulable = item.value("/spec/unschedulable"_json_pointer, false)});
  }
  return nodes;
}

absl::Status Cluster::AwaitReady() {
  std::string seen = "nothing";
  const bool ready = testing::Eventually(
      [&] {
        const absl::StatusOr<std::vector<KubeNode>> found = KubeNodes();
        if (!found.ok()) {
          seen = std::string(found.status().message());
          return false;
        }
        seen.clear();
        size_t count = 0;
        for (const KubeNode& node : *found) {
          absl::StrAppend(&seen, node.name, node.ready ? " ready, " : " not ready, ");
          count += node.ready ? 1 : 0;
        }
        return count == nodes().size();
      },
      std::chrono::minutes(3));
  return ready ? absl::OkStatus()
               : absl::DeadlineExceededError(absl::StrCat("the new cluster is not ready: ", seen));
}

absl::Status Cluster::AwaitAge(std::chrono::seconds age) const {
  const auto old_enough = [&](const std::string& name) {
    const absl::StatusOr<std::string> since = hosts_->Output(
        name, {"systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", Unit(name)});
    int64_t microseconds = 0;  // of the machine's clock, which all hosts share
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return since.ok() && absl::SimpleAtoi(*since, &microseconds) && microseconds > 0 &&
           now - std::chrono::microseconds(microseconds) >= age;
  };
  const bool steady =
      testing::Eventually([&] { return std::all_of(servers_.begin(), servers_.end(), old_enough); },
                          age + std::chrono::minutes(1));
  return steady ? absl::OkStatus()
                : absl::DeadlineExceededError("some server's k3s was started again and again");
}

absl::Status Cluster::StartWorkload() {
  if (options_.replicas == 0) {
    return absl::OkStatus();
  }
  const json labels = {{"app", "k3saga-web"}};
  json pod = {{"metadata", {{"labels", labels}}},
              {"spec",
               {{"terminationGracePeriodSeconds", 1},
                {"containers",
                 {{{"name", "main"}, {"image", source_.PodImage()}, {"imagePullPolicy", "IfNotPresent"}}}}}}};
  const json set = {
      {"apiVersion", "apps/v1"},
      {"kind", "ReplicaSet"},
      {"metadata", {{"name", "k3saga-web"}, {"labels", labels}}},
      {"spec",
       {{"replicas", options_.replicas}, {"selector", {{"matchLabels", labels}}}, {"template", pod}}}};
  // policy/v1 exists from 1.21 on.
  const bool old = absl::StartsWith(options_.version, "v1.20.");
  const std::string api = old ? "policy/v1beta1" : "policy/v1";
  const json budget = {{"apiVersion", api},
                       {"kind", "PodDisruptionBudget"},
                       {"metadata", {{"name", "k3saga-web"}}},
                       {"spec", {{"maxUnavailable", 1}, {"selector", {{"matchLabels", labels}}}}}};
  for (const auto& [path, object] :
       {std::pair{std::string(kWorkload), set},
        std::pair{absl::StrCat("/apis/", api, "/namespaces/default/poddisruptionbudgets"), budget}}) {
    K3SAGA_ASSIGN_OR_RETURN(const KubeReply reply, Ask("POST", path, object.dump()));
    if (reply.code != 201) {
      return absl::InternalError(absl::StrCat(path, ": ", reply.code, " ", reply.body));
    }
  }
  const bool running = testing::Eventually([&] { return ReadyPods().value_or(0) == options_.replicas; },
                                           std::chrono::minutes(2));
  return running ? absl::OkStatus() : absl::DeadlineExceededError("the workload's pods did not start");
}

absl::StatusOr<size_t> Cluster::ReadyPods() const {
  K3SAGA_ASSIGN_OR_RETURN(const KubeReply reply,
                          Ask("GET", "/api/v1/namespaces/default/pods?labelSelector=app%3Dk3saga-web"));
  const json list = json::parse(reply.body, nullptr, false);
  if (reply.code != 200 || !list.contains("items")) {
    return absl::UnavailableError(absl::StrCat("pods: ", reply.code));
  }
  size_t ready = 0;
  for (const json& pod : list["items"]) {
    ready += IsTrue(pod, "Ready") && !pod["metadata"].contains("deletionTimestamp") ? 1 : 0;
  }
  return ready;
}

absl::StatusOr<std::string> Cluster::Configuration(std::string_view name) const {
  return hosts_->Output(name, {"bash", "-c",
                               "find /etc/systemd/system/k3s* /etc/rancher /etc/default/k3s* -type f "
                               "! -name k3s.yaml -exec sha256sum {} + 2>/dev/null | sort -k 2"});
}

absl::StatusOr<std::string> Cluster::RunningVersion(std::string_view name) const {
  // Through /proc: also right when the file was replaced meanwhile. k3s looks at the name it was called by.
  K3SAGA_ASSIGN_OR_RETURN(
      const std::string output,
      hosts_->Output(name, {"bash", "-c",
                            absl::StrCat("exec -a k3s /proc/$(systemctl show --property=MainPID --value ",
                                         Unit(name), ")/exe --version 2>/dev/null")}));
  const std::vector<std::string> words = absl::StrSplit(output, absl::ByAnyChar(" \n"));
  return words.size() > 2 ? words[2] : "";
}

}  // namespace k3saga::hosts
