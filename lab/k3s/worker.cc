#include <absl/strings/match.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "common/status_macros.h"
#include "lab/base/files.h"
#include "lab/k3s/http.h"
#include "lab/k3s/kubelet.h"
#include "lab/k3s/server.h"

namespace k3saga::lab {
namespace {

constexpr std::chrono::milliseconds kRetryPause{500};
constexpr std::chrono::milliseconds kCallDeadline{3000};
constexpr int kFatalExit = 1;

class Worker {
 public:
  explicit Worker(const Instance& instance) : instance_(instance) {}
  absl::Status Run();

 private:
  absl::Status Join(const std::string& token);
  ApiResponse Call(const ApiRequest& request);
  absl::StatusOr<HttpResponse> CallAny(const HttpsCall& call);
  void LearnServers();
  std::filesystem::path ServersFile() const {
    return instance_.DataDir() / "agent/etc/k3s-agent-load-balancer.json";
  }

  const Instance& instance_;
  std::vector<std::string> servers_;  // addresses, the one that answered last first
  std::string ca_;
  KeyPair client_;
  std::map<std::string, std::unique_ptr<HttpsClient>> clients_;  // by address
};

absl::StatusOr<HttpResponse> Worker::CallAny(const HttpsCall& call) {
  absl::StatusOr<HttpResponse> response = absl::UnavailableError("no server is known");
  for (size_t i = 0; i < servers_.size(); ++i) {
    std::unique_ptr<HttpsClient>& client = clients_[servers_[i]];
    if (client == nullptr) client = std::make_unique<HttpsClient>(HttpsPeer{servers_[i], ca_, client_});
    response = client->Send(call);
    // 5xx: this server cannot serve now, another one may.
    if (!response.ok() || response->code >= 500 || response->code == 404) {
      if (response.ok() && response->code == 404 && !response->body.empty() && response->body[0] == '{')
        return response;
      continue;
    }
    std::swap(servers_[0], servers_[i]);
    return response;
  }
  return response;
}

ApiResponse Worker::Call(const ApiRequest& request) {
  HttpsCall call;
  call.method = request.method;
  call.path = request.path;
  call.content_type = request.content_type;
  call.body = request.body;
  call.deadline = kCallDeadline;
  auto response = CallAny(call);
  if (!response.ok()) return Failure(503, "ServiceUnavailable", std::string(response.status().message()));
  json body = json::parse(response->body, nullptr, /*allow_exceptions=*/false);
  return {response->code, body.is_discarded() ? json::object() : std::move(body)};
}

// The authority and a client certificate, by the token.
absl::Status Worker::Join(const std::string& token) {
  HttpsCall call;
  call.path = "/cacerts";
  call.deadline = kCallDeadline;
  K3SAGA_ASSIGN_OR_RETURN(HttpResponse authority, CallAny(call));
  ca_ = authority.body;
  if (absl::StartsWith(token, "K10") && !absl::StrContains(token, Sha256Hex(ca_))) {
    return absl::PermissionDeniedError("token CA hash does not match the Cluster CA certificate hash");
  }
  call.path = "/v1-k3s/client-kubelet?node=" + instance_.NodeName();
  clients_.clear();  // from now on the servers are verified
  call.basic_user = "node";
  call.basic_password = TokenSecret(token);
  K3SAGA_ASSIGN_OR_RETURN(HttpResponse response, CallAny(call));
  if (response.code != 200)
    return absl::PermissionDeniedError("Node password or token rejected: not authorized");
  const json pair = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  client_ = {pair.value("certificate", ""), pair.value("key", "")};
  clients_.clear();  // and this node shows who it is
  K3SAGA_RETURN_IF_ERROR(WriteFile(instance_.DataDir() / "agent/client-kubelet.crt", client_.certificate));
  K3SAGA_RETURN_IF_ERROR(WriteFile(instance_.DataDir() / "agent/server-ca.crt", ca_));
  return WriteFile(instance_.DataDir() / "agent/client-kubelet.key", client_.key, 0600);
}

// So that the worker lives on when the server it was given goes away.
void Worker::LearnServers() {
  const ApiResponse nodes = Call({"GET", "/api/v1/nodes", {}, "", ""});
  if (nodes.code != 200 || !nodes.body.contains("items")) return;
  std::vector<std::string> learned = servers_;
  for (const json& node : nodes.body["items"]) {
    if (!ObjectAt(node, {"metadata", "labels"}).contains("node-role.kubernetes.io/control-plane")) continue;
    const std::string address = TextAt(node, {"metadata", "annotations", "k3s.io/internal-ip"});
    if (std::find(learned.begin(), learned.end(), address) == learned.end()) learned.push_back(address);
  }
  if (learned == servers_) return;
  servers_ = learned;
  (void)WriteFile(ServersFile(), json{{"ServerAddresses", servers_}}.dump(), 0600);
}

absl::Status Worker::Run() {
  std::string url = instance_.options.Text("server");
  if (url.empty()) return absl::InvalidArgumentError("--server is required");
  K3SAGA_ASSIGN_OR_RETURN(const std::string token, instance_.Token());
  if (token.empty()) return absl::InvalidArgumentError("--token is required");
  if (absl::StartsWith(url, "https://")) url.erase(0, 8);
  servers_ = {url.substr(0, url.find(':'))};
  if (auto text = ReadFile(ServersFile()); text.ok()) {
    const json known = json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (known.is_object()) {
      for (const std::string& address : known.value("ServerAddresses", std::vector<std::string>())) {
        if (address != servers_[0]) servers_.push_back(address);
      }
    }
  }
  const int64_t crash_ms = instance_.faults.value("crash_at_start_ms", int64_t{-1});
  const int start_ms = instance_.faults.value("start_ms", instance_.lab.timings.worker_start_ms);
  std::this_thread::sleep_for(std::chrono::milliseconds(crash_ms >= 0 ? crash_ms : start_ms));
  if (crash_ms >= 0) return absl::InternalError("panic: the release's fault: crash at start");

  for (absl::Status joined = Join(token); !joined.ok(); joined = Join(token)) {
    // A wrong token, or no server: it tries for ever, and its unit is "active" all the while.
    LogK3s("error", absl::StrCat("Failed to join: ", std::string(joined.message())));
    std::this_thread::sleep_for(kRetryPause);
  }
  // A release that never becomes ready: its kubelet never answers and never speaks to the API.
  while (instance_.faults.value("never_ready", false)) pause();

  Kubelet kubelet(instance_, [this](const ApiRequest& request) { return Call(request); });
  K3SAGA_RETURN_IF_ERROR(kubelet.ServeHealth());
  bool registered = false;
  for (int beat = 0;; ++beat) {
    const absl::Status status = registered ? kubelet.Heartbeat() : kubelet.Register();
    if (status.ok() && !registered)
      LogK3s("info", absl::StrCat("k3s agent is up and running (", instance_.release.version, ")"));
    registered = registered || status.ok();
    if (status.ok() && beat % 10 == 1) LearnServers();
    if (!status.ok()) LogK3s("error", std::string(status.message()));
    std::this_thread::sleep_for(status.ok() ? kubelet.Pause() : kRetryPause);
  }
}

}  // namespace

int RunWorker(const Instance& instance) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, [](int) { _exit(kFatalExit); });
  LogK3s("info", absl::StrCat("Starting k3s agent ", instance.release.version));
  const absl::Status status = Worker(instance).Run();
  LogK3s("fatal", std::string(status.message()));
  return kFatalExit;
}

}  // namespace k3saga::lab
