#include "lab/control/cluster_client.h"

#include "common/status_macros.h"
#include "lab/base/files.h"

namespace k3saga::lab {

absl::StatusOr<ClusterClient::Credentials> ClusterClient::Load(const LabNode& server) const {
  const std::filesystem::path tls = Layout{lab_.dir}.Root(server.name) / "var/lib/rancher/k3s/server/tls";
  Credentials credentials;
  K3SAGA_ASSIGN_OR_RETURN(credentials.ca, ReadFile(tls / "server-ca.crt"));
  K3SAGA_ASSIGN_OR_RETURN(credentials.admin.certificate, ReadFile(tls / "client-admin.crt"));
  K3SAGA_ASSIGN_OR_RETURN(credentials.admin.key, ReadFile(tls / "client-admin.key"));
  return credentials;
}

absl::StatusOr<json> ClusterClient::Call(const std::string& method, const std::string& path,
                                         const json& body) {
  absl::Status last = absl::UnavailableError("the lab has no servers");
  for (const LabNode& server : lab_.Servers()) {
    auto credentials = Load(server);
    if (!credentials.ok()) {
      last = credentials.status();
      continue;
    }
    HttpsCall call;
    call.address = server.address;
    call.method = method;
    call.path = path;
    if (!body.is_null()) call.body = body.dump();
    if (method == "PATCH") call.content_type = "application/merge-patch+json";
    call.ca = credentials->ca;
    call.client = credentials->admin;
    auto response = CallHttps(call);
    if (response.ok() && response->code / 100 == 2) {
      json parsed = json::parse(response->body, nullptr, /*allow_exceptions=*/false);
      return parsed.is_discarded() ? json(response->body) : parsed;
    }
    last = response.ok()
               ? absl::UnavailableError(absl::StrCat(server.name, ": ", response->code, " ", response->body))
               : response.status();
    if (response.ok() && response->code == 409) return absl::AlreadyExistsError(path);
  }
  return last;
}

bool ClusterClient::IsReady(const LabNode& server, std::chrono::milliseconds deadline) {
  auto credentials = Load(server);
  if (!credentials.ok()) return false;
  HttpsCall call;
  call.address = server.address;
  call.path = "/readyz";
  call.ca = credentials->ca;
  call.client = credentials->admin;
  call.deadline = deadline;
  auto response = CallHttps(call);
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
