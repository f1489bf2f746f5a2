#include "lab/k3s/server.h"

#include <absl/strings/match.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <thread>

#include "common/status_macros.h"
#include "common/version.h"
#include "lab/base/files.h"
#include "lab/base/processes.h"
#include "lab/k3s/controllers.h"
#include "lab/k3s/etcd_member.h"
#include "lab/k3s/kubelet.h"
#include "lab/k3s/server_api.h"
#include "lab/k3s/sqlite_store.h"
#include "lab/k3s/velero.h"

namespace k3saga::lab {
namespace {

constexpr int kApiPort = 6443;
constexpr int kApiThreads = 16;
constexpr int64_t kLeaderPatienceMillis = 3000;
constexpr std::chrono::milliseconds kTick{50};
constexpr std::chrono::milliseconds kPromotePause{200};
constexpr std::chrono::milliseconds kControllerTick{500};
constexpr std::chrono::milliseconds kPeerTick{500};
constexpr std::chrono::seconds kWordEvery{3};
constexpr int kFatalExit = 1;
constexpr int kLostLeaseExit = 255;

std::atomic<int> etcd_pid{0};

// k3s stops without handing etcd's leadership over, and says that it failed.
void OnTerminate(int) {
  const int pid = etcd_pid;
  if (pid > 0) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  _exit(kFatalExit);
}

void InstallSignals() {
  struct sigaction action {};
  action.sa_handler = OnTerminate;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

[[noreturn]] void Die(std::string_view why, int code) {
  LogK3s("fatal", why);
  const int pid = etcd_pid;
  if (pid > 0) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  _exit(code);
}

int64_t ElapsedMillis(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - since)
      .count();
}

// "https://127.1.2.3:6443" -> "127.1.2.3"
std::string AddressOf(std::string url) {
  if (absl::StartsWith(url, "https://")) url.erase(0, 8);
  return url.substr(0, url.find_first_of(":/"));
}

class Server {
 public:
  explicit Server(const Instance& instance) : instance_(instance) {}
  absl::Status Run();

 private:
  absl::Status PrepareFiles();
  absl::Status CheckCredentialsAge();
  absl::Status OpenStore();
  absl::Status CheckCriticalFlags();
  absl::Status ServeUntilReady();
  absl::Status WaitForEtcd();
  bool AllNodesThere(ObjectStore& objects) const;
  void Supervise();
  void ControllerLoop();
  void KubeletLoop();
  std::optional<std::string> OvertakenFor(int64_t limit_ms);
  bool UsesSqlite() const;

  const Instance& instance_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  ServerFiles files_;
  std::shared_ptr<EtcdClient> etcd_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ServerApi> api_;
  std::unique_ptr<HttpServer> http_;
};

bool Server::UsesSqlite() const {
  const std::filesystem::path db = instance_.DataDir() / "server/db";
  if (instance_.options.Flag("cluster-init") || instance_.options.Has("server")) return false;
  return !std::filesystem::exists(db / "etcd");
}

absl::Status Server::PrepareFiles() {
  const std::string url = instance_.options.Text("server");
  K3SAGA_ASSIGN_OR_RETURN(const std::string token, instance_.Token());
  if (HasServerFiles(instance_)) {
    K3SAGA_RETURN_IF_ERROR(CheckCredentialsAge());
    K3SAGA_ASSIGN_OR_RETURN(files_, PrepareServerFiles(instance_));
    if (!token.empty() && TokenSecret(token) != files_.token_secret) {
      return absl::FailedPreconditionError("bootstrap data already found and encrypted with different token");
    }
    return absl::OkStatus();
  }
  if (url.empty()) {
    K3SAGA_RETURN_IF_ERROR(
        WriteBootstrap(instance_, NewBootstrap(token.empty() ? RandomHex(16) : TokenSecret(token))));
  } else {
    if (token.empty()) return absl::InvalidArgumentError("--token is required");
    HttpsCall call;
    call.path = "/v1-k3s/server-bootstrap";
    call.basic_user = "server";
    call.basic_password = TokenSecret(token);
    K3SAGA_ASSIGN_OR_RETURN(HttpResponse response, HttpsClient({AddressOf(url), "", {}}).Send(call));
    if (response.code != 200) {
      return absl::PermissionDeniedError(
          absl::StrCat("starting kubernetes: preparing server: failed to get CA certs: ", response.code));
    }
    K3SAGA_RETURN_IF_ERROR(WriteBootstrap(instance_, json::parse(response.body, nullptr, false)));
  }
  K3SAGA_ASSIGN_OR_RETURN(files_, PrepareServerFiles(instance_));
  return absl::OkStatus();
}

// k3s compares the files with what the cluster holds; after a restore a peer's may be younger.
absl::Status Server::CheckCredentialsAge() {
  const std::string url = instance_.options.Text("server");
  const bool joins = !url.empty() && !HasMemberData(instance_);
  if (!joins || !instance_.faults.value("newer_credentials", false)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat((instance_.Tls() / "server-ca.key").string(), ", ",
                                                    (instance_.Tls() / "client-ca.key").string(),
                                                    " newer than datastore and could cause a cluster outage. "
                                                    "Remove the file(s) from disk and restart to be "
                                                    "recreated from datastore."));
}

absl::Status Server::OpenStore() {
  if (UsesSqlite()) {
    K3SAGA_ASSIGN_OR_RETURN(store_, SqliteStore::Open(instance_.DataDir() / "server/db/state.db"));
    return absl::OkStatus();
  }
  std::error_code ignored;
  std::filesystem::remove(instance_.DataDir() / "server/db/reset-flag", ignored);
  const std::string url = instance_.options.Text("server");
  K3SAGA_ASSIGN_OR_RETURN(const int pid, StartMember(instance_, files_, url.empty() ? "" : AddressOf(url)));
  etcd_pid = pid;
  etcd_ = std::make_shared<EtcdClient>(instance_.node.address, files_.etcd_ca, files_.etcd_client);
  store_ = std::make_unique<EtcdStore>(etcd_);
  return absl::OkStatus();
}

// Servers whose critical flags differ do not start (the first one's count).
absl::Status Server::CheckCriticalFlags() {
  json own = json::object();
  for (const char* flag : {"cluster-cidr", "service-cidr", "cluster-dns", "cluster-domain", "flannel-backend",
                           "egress-selector-mode", "disable-network-policy", "secrets-encryption"}) {
    own[flag] = instance_.options.Text(flag);
  }
  auto stored = store_->Get("/bootstrap/critical");
  if (absl::IsNotFound(stored.status())) return store_->Put("/bootstrap/critical", own.dump(), 0).status();
  K3SAGA_RETURN_IF_ERROR(stored.status());
  const json first = json::parse(stored->value, nullptr, false);
  for (const auto& [flag, value] : own.items()) {
    if (first.value(flag, "") == value) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("starting kubernetes: preparing server: failed to validate server configuration: "
                     "critical configuration "
                     "value mismatch between servers: ",
                     flag));
  }
  return absl::OkStatus();
}

// Without quorum this waits for ever, as k3s does; a stop ends it.
absl::Status Server::WaitForEtcd() {
  if (etcd_ == nullptr) return absl::OkStatus();
  for (int waited = 0;; ++waited) {
    auto status = etcd_->Status(std::chrono::seconds(1));
    if (status.ok() && status->leader() != 0 && store_->List("/bootstrap/", "", 1).ok())
      return absl::OkStatus();
    if (status.ok() && status->islearner()) {
      const std::string through = AddressOf(instance_.options.Text("server"));
      const absl::Status voter = BecomeVoter(files_, through, status->header().member_id());
      if (!voter.ok()) std::this_thread::sleep_for(kPromotePause);
    }
    if (waitpid(etcd_pid, nullptr, WNOHANG) != 0) {
      etcd_pid = 0;
      return absl::InternalError("etcd exited");
    }
    if (waited % 100 == 99) LogK3s("info", "Waiting for etcd server to become available");
    std::this_thread::sleep_for(kTick);
  }
}

absl::Status Server::ServeUntilReady() {
  const bool never_ready = instance_.faults.value("never_ready", false);
  const int64_t start_ms = instance_.faults.value("start_ms", instance_.lab.timings.server_start_ms);
  const auto stage = [&](int64_t etcd_ok_ms) {
    return StageOf({ElapsedMillis(started_), start_ms, etcd_ok_ms, never_ready});
  };
  while (stage(-1) == Stage::kPortClosed) std::this_thread::sleep_for(kTick);
  api_ = std::make_unique<ServerApi>(instance_, files_, *store_);
  K3SAGA_ASSIGN_OR_RETURN(
      http_, HttpServer::ListenTls(instance_.node.address, kApiPort, kApiThreads, files_.serving,
                                   files_.client_ca.certificate,
                                   [this](const HttpRequest& request) { return api_->Handle(request); }));
  K3SAGA_RETURN_IF_ERROR(WaitForEtcd());
  K3SAGA_RETURN_IF_ERROR(CheckCriticalFlags());
  const auto etcd_ok = std::chrono::steady_clock::now();
  bool notified = false;
  auto next_word = etcd_ok + kWordEvery;
  for (Stage now = Stage::kStarting; now != Stage::kReady;) {
    now = stage(ElapsedMillis(etcd_ok));
    api_->SetStage(now);
    if (now == Stage::kHooks && !never_ready && !notified) {
      NotifyReady();  // before /readyz says so, as k3s does
      notified = true;
    }
    if (std::chrono::steady_clock::now() >= next_word) {
      LogK3s("error", "API server is not ready: poststarthook/rbac/bootstrap-roles has not finished");
      next_word += kWordEvery;
    }
    std::this_thread::sleep_for(kTick);
  }
  LogK3s("info", absl::StrCat("k3s is up and running (", instance_.release.version, ")"));
  if (!notified) NotifyReady();
  return absl::OkStatus();
}

bool Server::AllNodesThere(ObjectStore& objects) const {
  auto nodes = objects.List(BuiltIn("nodes"));
  return nodes.ok() && nodes->size() >= instance_.lab.nodes.size();
}

void Server::ControllerLoop() {
  ObjectStore objects(*store_);
  Leadership leadership(objects, instance_.NodeName());
  auto workers = instance_.lab.nodes.size() - instance_.lab.Servers().size();
  bool seeded = false;
  bool leads = false;
  for (int tick = 0;; ++tick) {
    if (tick % 2 == 0) leads = leadership.Acquire(NowMillis(), kLeaderPatienceMillis);
    // Once there is where to put it: pods do not move by themselves.
    if (leads && !seeded && AllNodesThere(objects))
      seeded = SeedWorkload(objects, static_cast<int>(workers)).ok();
    if (leads) (void)RunControllers(objects, instance_.lab.timings, NowMillis());
    if (leads) (void)RunVelero(objects, instance_.layout().VeleroStorage());
    std::this_thread::sleep_for(kControllerTick);
  }
}

void Server::KubeletLoop() {
  Kubelet kubelet(instance_, [this](const ApiRequest& request) { return api_->api().Handle(request); });
  absl::Status health = kubelet.ServeHealth();
  if (!health.ok()) Die(std::string(health.message()), kFatalExit);
  bool registered = false;
  for (;;) {
    const absl::Status beat = registered ? kubelet.Heartbeat() : kubelet.Register();
    registered = registered || beat.ok();
    std::this_thread::sleep_for(kubelet.Pause());
  }
}

// The first other server that has been newer and ready for so long (FACTS: in that minor step servers take a
// cluster role from each other; the old ones lose their lease, again and again, until all are upgraded).
std::optional<std::string> Server::OvertakenFor(int64_t limit_ms) {
  static int64_t since = 0;
  ObjectStore objects(*store_);
  auto nodes = objects.List(BuiltIn("nodes"));
  auto own = Version::Parse(instance_.release.version);
  if (!nodes.ok() || !own.ok()) return std::nullopt;
  std::optional<std::string> newer;
  for (const json& node : *nodes) {
    auto version = Version::Parse(TextAt(node, {"status", "nodeInfo", "kubeletVersion"}));
    const bool server =
        ObjectAt(node, {"metadata", "labels"}).contains("node-role.kubernetes.io/control-plane");
    if (server && version.ok() && *own < *version) newer = NameOf(node);
  }
  if (!newer.has_value()) since = 0;
  if (newer.has_value() && since == 0) since = NowMillis();
  if (since == 0 || NowMillis() - since < limit_ms) return std::nullopt;
  return newer;
}

void Server::Supervise() {
  for (;;) {
    if (etcd_pid > 0 && waitpid(etcd_pid, nullptr, WNOHANG) != 0) {
      etcd_pid = 0;
      Die("etcd exited", kFatalExit);
    }
    const json faults = ReadNodeFaults(instance_.layout(), instance_.node.name);
    const int64_t limit = faults.value("crash_when_overtaken_ms", int64_t{0});
    if (limit > 0) {
      if (auto newer = OvertakenFor(limit)) {
        Die("leaderelection lost for cloud-controller-manager", kLostLeaseExit);
      }
    }
    std::this_thread::sleep_for(kPeerTick);
  }
}

absl::Status Server::Run() {
  const int64_t crash_ms = instance_.faults.value("crash_at_start_ms", int64_t{-1});
  if (crash_ms >= 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(crash_ms));
    return absl::InternalError("panic: the release's fault: crash at start");
  }
  // Unpacking itself takes k3s a while; its etcd is down for as long.
  std::this_thread::sleep_for(std::chrono::milliseconds(instance_.lab.timings.server_start_ms / 5));
  K3SAGA_RETURN_IF_ERROR(PrepareFiles());
  K3SAGA_RETURN_IF_ERROR(OpenStore());
  K3SAGA_RETURN_IF_ERROR(ServeUntilReady());
  std::thread([this] { ControllerLoop(); }).detach();
  if (!instance_.options.Flag("disable-agent")) std::thread([this] { KubeletLoop(); }).detach();
  Supervise();
  return absl::OkStatus();
}

// With real k3s's traps. The datastore's own are etcd's: peers with an old one belong to another cluster.
int ResetCluster(const Instance& instance) {
  if (!instance.options.Text("server").empty()) {
    LogK3s("fatal",
           "cannot perform cluster-reset while server URL is set - remove server from configuration before "
           "resetting");
    return kFatalExit;
  }
  if (instance.faults.value("reset_hangs", false)) {
    for (;;) pause();
  }
  if (instance.faults.value("reset_fails", false)) {
    LogK3s("fatal", "etcd: failed to restore the snapshot: the node's fault: reset fails");
    return kFatalExit;
  }
  auto token = instance.Token();
  auto kept = ReadBootstrap(instance);
  if (token.ok() && kept.ok() && !token->empty() && TokenSecret(*token) != kept->value("token", "")) {
    LogK3s("fatal",
           "starting kubernetes: preparing server: bootstrap data already found and encrypted with "
           "different token");
    return kFatalExit;
  }
  const std::filesystem::path flag = instance.DataDir() / "server/db/reset-flag";
  if (std::filesystem::exists(flag)) {
    LogK3s("fatal", absl::StrCat("cluster-reset was done before; start k3s normally first, or remove ",
                                 flag.string()));
    return kFatalExit;
  }
  const absl::Status reset = ResetMember(instance, instance.options.Text("cluster-reset-restore-path"));
  if (!reset.ok()) {
    LogK3s("fatal", std::string(reset.message()));
    return kFatalExit;
  }
  (void)WriteFile(flag, "", 0600);
  LogK3s("info", "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now.");
  return 0;
}

}  // namespace

int RunServer(const Instance& instance) {
  InstallSignals();
  LogK3s("info", absl::StrCat("Starting k3s ", instance.release.version));
  if (instance.options.Flag("cluster-reset")) return ResetCluster(instance);
  const absl::Status status = Server(instance).Run();
  Die(std::string(status.message()), kFatalExit);
}

}  // namespace k3saga::lab
