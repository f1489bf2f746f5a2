#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lab/base/layout.h"
#include "lab/k3s/api.h"
#include "lab/k3s/etcd_client.h"
#include "lab/k3s/http.h"

namespace k3saga::lab {

// The lab's own way into its cluster: with the admin's certificate that lies in a server's folder, through
// whichever server answers.
class ClusterClient {
 public:
  explicit ClusterClient(const Lab& lab) : lab_(lab) {}

  // kUnavailable when no server answers, kAlreadyExists for a 409.
  absl::StatusOr<json> Call(const std::string& method, const std::string& path, const json& body = nullptr);
  // /readyz of one server is 200.
  bool IsReady(const LabNode& server, std::chrono::milliseconds deadline);
  // Null while that server has no certificates yet.
  std::unique_ptr<EtcdClient> Etcd(const LabNode& server);

 private:
  // kNotFound while that server has no certificates yet.
  absl::StatusOr<HttpsClient*> Https(const LabNode& server);

  const Lab& lab_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<HttpsClient>> clients_;  // by server
};

// A node as the API shows it.
struct NodeLine {
  std::string name;
  std::string version;
  bool ready = false;
  bool cordoned = false;
};
absl::StatusOr<std::vector<NodeLine>> ListNodes(ClusterClient& client);

}  // namespace k3saga::lab
