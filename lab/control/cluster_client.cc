#include "lab/control/cluster_client.h"

#include "common/status_macros.h"
#include "lab/base/files.h"

namespace k3saga::lab {

absl::StatusOr<HttpsClient*> ClusterClient::Https(const LabNode& server) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::unique_ptr<HttpsClient>& client = clients_[server.name];
  if (client != nullptr) return client.get();
  const std::filesystem::path tls = Layout{lab_.dir}.Root(server.name) / "var/lib/rancher/k3s/server/tls";
  HttpsPeer peer;
  peer.address = server.address;
  K3SAGA_ASSIGN_OR_RETURN(peer.ca, ReadFile(tls / "server-ca.crt"));
  K3SAGA_ASSIGN_OR_RETURN(peer.client.certificate, ReadFile(tls / "client-admin.crt"));
  K3SAGA_ASSIGN_OR_RETURN(peer.client.key, ReadFile(tls / "client-admin.key"));
  client = std::make_unique<HttpsClient>(peer);
  return client.get();
}

absl::StatusOr<json> ClusterClient::Call(const std::string& method, const std::string& path,
                                         const json& body) {
  HttpsCall call;
  call.method = method;
  call.path = path;
  if (!body.is_null()) call.body = body.dump();
  if (method == "PATCH") call.content_type = "application/merge-patch+json";
  absl::Status last = absl::UnavailableError("the lab has no servers");
  for (const LabNode& server : lab_.Servers()) {
    auto client = Https(server);
    auto response = client.ok() ? (*client)->Send(call) : client.status();
    if (response.ok() && response->code / 100 == 2) {
      json parsed = json::parse(response->body, nullptr, /*allow_exceptions=*/false);
      return parsed.is_discarded() ? json(response->body) : parsed;
    }
    if (response.ok() && response->code == 409) return absl::AlreadyExistsError(path);
    last = response.ok()
               ? absl::UnavailableError(absl::StrCat(server.name, ": ", response->code, " ", response->body))
               : response.status();
  }
  return last;
}

bool ClusterClient::IsReady(const LabNode& server, std::chrono::milliseconds deadline) {
  auto client = Https(server);
  if (!client.ok()) return false;
  HttpsCall call;
  call.path = "/readyz";
  call.deadline = deadline;
  auto response = (*client)->Send(call);
  return response.ok() && response->code == 200;
}

std::unique_ptr<EtcdClient> ClusterClient::Etcd(const LabNode& server) {
  const std::filesystem::path tls =
      Layout{lab_.dir}.Root(server.name) / "var/lib/rancher/k3s/server/tls/etcd";
  auto ca = ReadFile(tls / "server-ca.crt");
  auto certificate = ReadFile(tls / "client.crt");
  auto key = ReadFile(tls / "client.key");
  if (!ca.ok() || !certificate.ok() || !key.ok()) return nullptr;
  return std::make_unique<EtcdClient>(server.address, *ca, KeyPair{*certificate, *key});
}

absl::StatusOr<std::vector<NodeLine>> ListNodes(ClusterClient& client) {
  K3SAGA_ASSIGN_OR_RETURN(json list, client.Call("GET", "/api/v1/nodes"));
  std::vector<NodeLine> lines;
  for (const json& node : list.value("items", json::array())) {
    NodeLine line;
    line.name = TextAt(node, {"metadata", "name"});
    line.version = TextAt(node, {"status", "nodeInfo", "kubeletVersion"});
    line.cordoned = FlagAt(node, {"spec", "unschedulable"});
    const json& conditions = ObjectAt(node, {"status", "conditions"});
    for (const json& condition : conditions.is_array() ? conditions : json::array()) {
      if (TextAt(condition, {"type"}) == "Ready") line.ready = TextAt(condition, {"status"}) == "True";
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace k3saga::lab
