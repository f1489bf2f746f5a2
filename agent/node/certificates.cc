#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>

#include "agent/node/installation.h"
#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::node {
namespace {

struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, FreeCertificate>;

std::vector<Certificate> ReadCertificates(const std::string& pem) {
  std::vector<Certificate> certificates;
  BIO* memory = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  while (X509* certificate = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr))
    certificates.emplace_back(certificate);
  BIO_free(memory);
  return certificates;
}

int64_t NotAfter(const X509* certificate) {
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) return 0;
  return timegm(&time);
}

}  // namespace

int64_t EarliestExpiry(const std::vector<std::string>& folders) {
  int64_t earliest = 0;
  for (const std::string& folder : folders) {
    auto names = ListDirectory(folder);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      if (!absl::EndsWith(name, ".crt")) continue;
      auto pem = ReadFile(JoinPath(folder, name), 1 << 20);
      if (!pem.ok()) continue;
      for (const Certificate& certificate : ReadCertificates(*pem)) {
        // k3s renews its own certificates; authorities live ten years and are the user's business.
        if (X509_check_ca(certificate.get()) != 0) continue;
        const int64_t expiry = NotAfter(certificate.get());
        if (expiry != 0 && (earliest == 0 || expiry < earliest)) earliest = expiry;
      }
    }
  }
  return earliest;
}

absl::StatusOr<std::string> CertificateFingerprint(const std::string& pem_file) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string pem, ReadFile(pem_file, 1 << 20));
  const std::vector<Certificate> certificates = ReadCertificates(pem);
  if (certificates.empty())
    return absl::InvalidArgumentError(absl::StrCat(pem_file, " holds no certificate"));
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificates.back().get(), &der);
  if (size <= 0) return absl::InternalError(absl::StrCat("cannot encode the certificate of ", pem_file));
  std::string fingerprint =
      Sha256Of(std::string_view(reinterpret_cast<char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  return fingerprint;
}

}  // namespace k3saga::node
