#include "lab/k3s/etcd_member.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/status_macros.h"
#include "lab/base/files.h"
#include "lab/base/processes.h"

namespace k3saga::lab {
namespace {

using std::filesystem::path;

constexpr char kEtcd[] = "/usr/bin/etcd";
constexpr char kEtcdctl[] = "/usr/bin/etcdctl";
constexpr int kJoinAttempts = 120;
constexpr std::chrono::milliseconds kJoinPause{250};
constexpr std::chrono::milliseconds kSnapshotDeadline{60'000};
// Short enough for a lab, long enough for two busy cores: k3s's own are 500 and 5000.
constexpr int kHeartbeatMillis = 150;
constexpr int kElectionMillis = 1500;

path EtcdDir(const Instance& instance) { return instance.DataDir() / "server/db/etcd"; }

std::string PeerUrl(const Instance& instance) { return "https://" + instance.node.address + ":2380"; }

// What --initial-cluster says, "name=url,...": the new cluster's one member, or the membership after this one
// was added through a server that is there.
absl::StatusOr<std::string> JoinCluster(const Instance& instance, const ServerFiles& files,
                                        const std::string& name, const std::string& join_address) {
  EtcdClient client(join_address, files.etcd_ca, files.etcd_client);
  absl::Status last;
  for (int attempt = 0; attempt < kJoinAttempts; ++attempt) {
    auto added = client.AddLearner(PeerUrl(instance));
    last = added.status();
    // Added by a run of ours that died before etcd was up.
    const bool there = absl::StrContains(last.message(), "Peer URLs already exists");
    auto members = added.ok() || there ? client.Members(std::chrono::seconds(2)) : last;
    if (members.ok()) {
      std::vector<std::string> cluster;
      for (const etcdserverpb::Member& member : members->members()) {
        const std::string member_name = member.peerurls(0) == PeerUrl(instance) ? name : member.name();
        for (const std::string& url : member.peerurls()) cluster.push_back(member_name + "=" + url);
      }
      return absl::StrJoin(cluster, ",");
    }
    LogK3s("info",
           absl::StrCat("Waiting to join the etcd cluster: ", std::string(members.status().message())));
    std::this_thread::sleep_for(kJoinPause);
  }
  return last;
}

std::vector<std::string> EtcdArguments(const Instance& instance, const std::string& name,
                                       const std::string& initial_cluster, bool existing) {
  const std::string tls = (instance.Tls() / "etcd").string();
  const std::string client_url = "https://" + instance.node.address + ":2379";
  const std::string listen = instance.LocalAddress() == instance.node.address
                                 ? client_url
                                 : absl::StrCat(client_url, ",https://", instance.LocalAddress(), ":2379");
  std::vector<std::string> arguments = {
      kEtcd, "--name=" + name, "--data-dir=" + EtcdDir(instance).string(), "--listen-client-urls=" + listen,
      "--advertise-client-urls=" + client_url, "--listen-peer-urls=" + PeerUrl(instance),
      "--initial-advertise-peer-urls=" + PeerUrl(instance),
      "--listen-metrics-urls=http://" + instance.LocalAddress() + ":2381", "--client-cert-auth",
      "--trusted-ca-file=" + tls + "/server-ca.crt", "--cert-file=" + tls + "/server-client.crt",
      "--key-file=" + tls + "/server-client.key", "--peer-client-cert-auth",
      "--peer-trusted-ca-file=" + tls + "/peer-ca.crt", "--peer-cert-file=" + tls + "/peer-server-client.crt",
      "--peer-key-file=" + tls + "/peer-server-client.key",
      absl::StrCat("--heartbeat-interval=", kHeartbeatMillis),
      absl::StrCat("--election-timeout=", kElectionMillis), "--pre-vote",
      // Members that connected a moment ago may be joined by another one:
      // k3s waits five seconds. Learners keep the quorum safe without.
      "--strict-reconfig-check=false", "--auto-compaction-mode=revision", "--auto-compaction-retention=5000",
      "--logger=zap", "--log-level=warn", "--log-outputs=stderr"};
  if (!initial_cluster.empty()) {
    arguments.push_back("--initial-cluster=" + initial_cluster);
    arguments.push_back(existing ? "--initial-cluster-state=existing" : "--initial-cluster-state=new");
  }
  return arguments;
}

absl::StatusOr<int> Spawn(std::vector<std::string> arguments, const Instance& instance) {
  SpawnRequest request;
  request.arguments = std::move(arguments);
  request.environment = {"PATH=/usr/bin:/bin", "GOMAXPROCS=2", "GOGC=50",
                         "K3SAGA_LAB_DIR=" + instance.lab.dir.string()};
  // Not in k3s's own log, where its chatter would bury k3s's last words.
  request.log = instance.layout().Node(instance.node.name) / "journal/etcd.log";
  return SpawnChild(request);
}

absl::Status RunToEnd(std::vector<std::string> arguments, const Instance& instance) {
  const std::string program = arguments.front();
  K3SAGA_ASSIGN_OR_RETURN(const int pid, Spawn(std::move(arguments), instance));
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(program, " failed"));
}

}  // namespace

bool HasMemberData(const Instance& instance) {
  return std::filesystem::exists(EtcdDir(instance) / "member/wal");
}

absl::StatusOr<std::string> MemberName(const Instance& instance) {
  const path file = EtcdDir(instance) / "name";
  if (auto text = ReadFile(file); text.ok()) return std::string(absl::StripAsciiWhitespace(*text));
  const std::string name = instance.NodeName() + "-" + RandomHex(4);
  K3SAGA_RETURN_IF_ERROR(WriteFile(file, name, 0600));
  return name;
}

absl::StatusOr<int> StartMember(const Instance& instance, const ServerFiles& files,
                                const std::string& join_address) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string name, MemberName(instance));
  std::filesystem::permissions(EtcdDir(instance), std::filesystem::perms::owner_all);
  std::string cluster;
  if (!HasMemberData(instance)) {
    cluster = name + "=" + PeerUrl(instance);
    if (!join_address.empty()) {
      K3SAGA_ASSIGN_OR_RETURN(cluster, JoinCluster(instance, files, name, join_address));
    }
  }
  return Spawn(EtcdArguments(instance, name, cluster, !join_address.empty()), instance);
}

absl::Status BecomeVoter(const ServerFiles& files, const std::string& join_address, uint64_t member) {
  EtcdClient client(join_address, files.etcd_ca, files.etcd_client);
  return client.PromoteMember(member);
}

absl::Status ResetMember(const Instance& instance, const std::string& snapshot) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string name, MemberName(instance));
  const path data = EtcdDir(instance);
  if (!snapshot.empty()) {
    if (!std::filesystem::exists(snapshot)) {
      return absl::NotFoundError(absl::StrCat("etcd: snapshot path does not exist: ", snapshot));
    }
    const path old = data.string() + "-old-" + std::to_string(NowMillis() / 1000);
    std::error_code error;
    if (std::filesystem::exists(data)) std::filesystem::rename(data, old, error);
    K3SAGA_RETURN_IF_ERROR(
        RunToEnd({kEtcdctl, "snapshot", "restore", snapshot, "--name=" + name, "--data-dir=" + data.string(),
                  "--initial-cluster=" + name + "=" + PeerUrl(instance),
                  "--initial-advertise-peer-urls=" + PeerUrl(instance)},
                 instance));
    return WriteFile(data / "name", name, 0600);
  }
  // Without a snapshot: once with --force-new-cluster, until it leads itself.
  K3SAGA_ASSIGN_OR_RETURN(ServerFiles files, PrepareServerFiles(instance));
  std::vector<std::string> arguments = EtcdArguments(instance, name, "", true);
  arguments.emplace_back("--force-new-cluster");
  K3SAGA_ASSIGN_OR_RETURN(const int pid, Spawn(std::move(arguments), instance));
  EtcdClient client(instance.node.address, files.etcd_ca, files.etcd_client);
  const bool leads = WaitUntil(
      [&] {
        auto status = client.Status(std::chrono::seconds(1));
        return status.ok() && status->leader() != 0;
      },
      std::chrono::seconds(30));
  kill(pid, SIGTERM);
  waitpid(pid, nullptr, 0);
  return leads ? absl::OkStatus() : absl::DeadlineExceededError("etcd did not form a new cluster in 30 s");
}

absl::StatusOr<std::string> SaveSnapshot(const Instance& instance, const std::string& name) {
  K3SAGA_ASSIGN_OR_RETURN(std::string ca, ReadFile(instance.Tls() / "etcd/server-ca.crt"));
  KeyPair client_pair;
  K3SAGA_ASSIGN_OR_RETURN(client_pair.certificate, ReadFile(instance.Tls() / "etcd/client.crt"));
  K3SAGA_ASSIGN_OR_RETURN(client_pair.key, ReadFile(instance.Tls() / "etcd/client.key"));
  const path folder =
      instance.options.Text("etcd-snapshot-dir", (instance.DataDir() / "server/db/snapshots").string());
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder));
  const path file = folder / absl::StrCat(name, "-", instance.NodeName(), "-", NowMillis() / 1000);
  EtcdClient client(instance.node.address, ca, client_pair);
  K3SAGA_RETURN_IF_ERROR(client.Snapshot(file.string() + ".part", kSnapshotDeadline));
  std::filesystem::permissions(file.string() + ".part", std::filesystem::perms(0600));
  std::filesystem::rename(file.string() + ".part", file);
  return file.string();
}

}  // namespace k3saga::lab
