#pragma once

#include <absl/status/statusor.h>

#include <nlohmann/json.hpp>
#include <string>

#include "lab/base/pki.h"
#include "lab/k3s/instance.h"

namespace k3saga::lab {

// The certificates, keys, token and kubeconfigs of a server, where k3s keeps them:
//   DATA/server/tls/{server-ca,client-ca}.{crt,key}, serving-kube-apiserver.*, client-admin.*
//   DATA/server/tls/etcd/{server-ca,peer-ca,client,server-client,peer-server-client}.{crt,key}
//   DATA/server/{token,node-token,cred/admin.kubeconfig}, ROOT/etc/rancher/k3s/k3s.yaml
struct ServerFiles {
  KeyPair server_ca;
  KeyPair client_ca;
  KeyPair serving;
  KeyPair etcd_client;
  std::string etcd_ca;  // certificate
  std::string token_secret;
};

// Whether this server has been part of a cluster before.
bool HasServerFiles(const Instance& instance);

// The authorities and the token: what a joining server gets from one that is there. Secret.
nlohmann::json NewBootstrap(const std::string& token_secret);
absl::StatusOr<nlohmann::json> ReadBootstrap(const Instance& instance);
absl::Status WriteBootstrap(const Instance& instance, const nlohmann::json& bootstrap);

// Issues this server's own certificates where they are missing, writes token and kubeconfigs, reads it all.
absl::StatusOr<ServerFiles> PrepareServerFiles(const Instance& instance);

// A kubelet's client certificate.
absl::StatusOr<KeyPair> IssueKubelet(const ServerFiles& files, const std::string& node);

}  // namespace k3saga::lab
