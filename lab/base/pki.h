#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

namespace k3saga::lab {

// The certificates that a simulated k3s makes for itself (k3saga's own identities come from common/tls).
struct KeyPair {
  std::string certificate;  // PEM
  std::string key;          // PEM, secret
};

struct Subject {
  std::string common_name;
  std::string organization;            // Kubernetes reads it as the group
  std::vector<std::string> dns;        // subject alternative names
  std::vector<std::string> addresses;  // IPv4
};

absl::StatusOr<KeyPair> MakeAuthority(std::string_view common_name);
// For servers and clients alike, as k3s's etcd certificates are.
absl::StatusOr<KeyPair> SignLeaf(const KeyPair& authority, const Subject& subject);

std::string Base64(std::string_view data);
std::string Sha256Hex(std::string_view data);

}  // namespace k3saga::lab
