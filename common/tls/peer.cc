#include "common/tls/peer.h"

#include <absl/strings/str_cat.h>

#include "common/status_macros.h"

namespace k3saga::tls {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kDomainSuffix = ".k3saga";
// A node's DNS name, the suffix included, has to fit 253 octets.
constexpr size_t kLongestName = 200;
constexpr size_t kLongestLabel = 63;

bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsPlainName(std::string_view name, std::string_view also, size_t longest) {
  if (name.empty() || name.size() > longest) return false;
  for (char c : name) {
    if (!IsLowerOrDigit(c) && also.find(c) == std::string_view::npos) return false;
  }
  return true;
}

std::string_view RoleWord(PeerRole role) { return role == PeerRole::kCoordinator ? "coordinator" : "agent"; }

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

}  // namespace

absl::Status CheckClusterName(std::string_view name) {
  if (IsPlainName(name, "-", kLongestLabel) && IsLowerOrDigit(name.front()) && IsLowerOrDigit(name.back())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", std::string(name),
                   "\" is not a cluster's name; expected up to 63 lower-case letters, "
                   "digits and \"-\", such as shop-12"));
}

absl::Status CheckNodeName(std::string_view name) {
  if (IsPlainName(name, "-.", kLongestName) && IsLowerOrDigit(name.front()) && IsLowerOrDigit(name.back()) &&
      name.find("..") == std::string_view::npos) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", std::string(name),
                   "\" is not a node's name; expected what `kubectl get nodes` shows: "
                   "lower-case letters, digits, \"-\" and \".\""));
}

absl::Status CheckPeer(const Peer& peer) {
  K3SAGA_RETURN_IF_ERROR(CheckClusterName(peer.cluster));
  if (peer.role == PeerRole::kAgent) return CheckNodeName(peer.name);
  if (IsPlainName(peer.name, "-._@ABCDEFGHIJKLMNOPQRSTUVWXYZ", kLongestName)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", peer.name, "\" cannot name a coordinator; expected letters, digits, \"-\", \".\", \"_\", \"@\""));
}

std::string PeerUri(const Peer& peer) {
  return absl::StrCat(std::string(kScheme), peer.cluster, std::string(kDomainSuffix), "/",
                      std::string(RoleWord(peer.role)), "/", peer.name);
}

absl::StatusOr<Peer> ParsePeerUri(std::string_view uri) {
  auto bad = [&uri] {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", std::string(uri), "\" is no identity of k3saga; expected ",
                     "spiffe://CLUSTER.k3saga/agent/NODE or .../coordinator/NAME"));
  };
  if (!StartsWith(uri, kScheme)) return bad();
  std::string_view rest = uri.substr(kScheme.size());
  size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return bad();
  std::string_view domain = rest.substr(0, slash);
  std::string_view path = rest.substr(slash + 1);
  if (!EndsWith(domain, kDomainSuffix)) return bad();

  Peer peer;
  peer.cluster = std::string(domain.substr(0, domain.size() - kDomainSuffix.size()));
  slash = path.find('/');
  if (slash == std::string_view::npos) return bad();
  if (path.substr(0, slash) == RoleWord(PeerRole::kCoordinator)) {
    peer.role = PeerRole::kCoordinator;
  } else if (path.substr(0, slash) == RoleWord(PeerRole::kAgent)) {
    peer.role = PeerRole::kAgent;
  } else {
    return bad();
  }
  peer.name = std::string(path.substr(slash + 1));
  if (!CheckPeer(peer).ok()) return bad();
  return peer;
}

std::string AgentHostName(std::string_view node) { return absl::StrCat(std::string(node), ".agent.k3saga"); }

std::string Describe(const Peer& peer) {
  return absl::StrCat(std::string(RoleWord(peer.role)), " ", peer.name);
}

}  // namespace k3saga::tls
