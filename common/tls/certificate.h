#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "common/tls/peer.h"

namespace k3saga::tls {

// A certificate with its private key, both PEM. The key is a secret: it goes into 0600 files and nowhere
// else.
struct CertificateAndKey {
  std::string certificate_pem;
  std::string key_pem;
};

// What stands in a certificate, as far as k3saga cares.
struct CertificateFacts {
  int64_t not_before_unix = 0;
  int64_t not_after_unix = 0;
};

// A new certificate authority of one cluster: EC P-256, self-signed, may issue leaves only.
absl::StatusOr<CertificateAndKey> CreateAuthority(std::string_view cluster, int64_t now_unix, int days);

// A certificate for `peer`, signed by `authority`. Least privilege: an agent's can only serve (and carries
// AgentHostName), a coordinator's can only call. Valid from five minutes before `now_unix`, for clocks that
// differ.
absl::StatusOr<CertificateAndKey> Issue(const CertificateAndKey& authority, const Peer& peer,
                                        int64_t now_unix, int days);

// Whose certificate this is, by its one URI subject alternative name (by type: a DNS name that looks like a
// URI does not count). Verifies nothing: TLS did.
absl::StatusOr<Peer> PeerOfCertificate(std::string_view certificate_pem);

absl::StatusOr<CertificateFacts> FactsOfCertificate(std::string_view certificate_pem);

// OK when the key belongs to the certificate, the certificate was signed by one of the authorities, and
// `now_unix` is within its validity. Otherwise the message says which of these failed.
absl::Status CheckCertificate(std::string_view ca_pem, std::string_view certificate_pem,
                              std::string_view key_pem, int64_t now_unix);

}  // namespace k3saga::tls
