#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace k3saga::tls {

enum class PeerRole { kCoordinator, kAgent };

// Who a certificate speaks for. A value; the name is the node's for an agent ("s1"), and whoever runs k3saga
// for a coordinator ("alice").
struct Peer {
  std::string cluster;
  PeerRole role = PeerRole::kAgent;
  std::string name;

  bool operator==(const Peer& other) const {
    return cluster == other.cluster && role == other.role && name == other.name;
  }
};

// kInvalidArgument says which part is wrong. A cluster's name is one DNS label; a node's name follows
// Kubernetes (lower-case letters, digits, "-" and "."); a coordinator's may also hold upper-case letters, "_"
// and "@".
absl::Status CheckClusterName(std::string_view name);
absl::Status CheckNodeName(std::string_view name);
absl::Status CheckPeer(const Peer& peer);

// "spiffe://shop-12.k3saga/agent/s1": the URI that a certificate carries, and back.
std::string PeerUri(const Peer& peer);
absl::StatusOr<Peer> ParsePeerUri(std::string_view uri);

// "s1.agent.k3saga": the DNS name in an agent's certificate. A coordinator asks TLS for exactly this name, so
// that the agent of one node cannot stand in for another's, whatever address answers.
std::string AgentHostName(std::string_view node);

// "agent s1", "coordinator alice": for messages.
std::string Describe(const Peer& peer);

}  // namespace k3saga::tls
