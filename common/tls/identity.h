#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

#include "common/tls/certificate.h"
#include "common/tls/peer.h"

namespace k3saga::tls {

// Where an identity lies on disk.
struct IdentityFiles {
  std::string ca;
  std::string certificate;
  std::string key;
};

// One side of mutual TLS, ready for use. Holds a secret: do not print.
struct Identity {
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;
  Peer self;
  int64_t not_after_unix = 0;
};

// Reads and checks the three files: they are there, nobody but the owner may read the key, the key belongs to
// the certificate, this authority signed it, it is valid now, and it names a peer of k3saga. Every error
// names the file and what to do.
absl::StatusOr<Identity> LoadIdentity(const IdentityFiles& files, int64_t now_unix);

// Reads an authority to issue with. The same checks of the key's mode.
absl::StatusOr<CertificateAndKey> LoadAuthority(const std::string& certificate_file,
                                                const std::string& key_file);

// Writes both files, the key with mode 0600. kAlreadyExists when either is there: a key is never overwritten.
absl::Status WriteCertificateAndKey(const CertificateAndKey& pair, const std::string& certificate_file,
                                    const std::string& key_file);

// Writes one certificate (0644); kAlreadyExists when the file is there.
absl::Status WriteCertificate(const std::string& certificate_pem, const std::string& file);

}  // namespace k3saga::tls
