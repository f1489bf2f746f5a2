#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

namespace k3saga::testing {

struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
};

// A certificate authority as k3s makes them for itself, living as long as the test. Aborts when OpenSSL
// fails.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);

  const std::string& certificate_pem() const { return certificate_pem_; }
  // For a server at these addresses ("127.0.0.1") and for a client at once; `names` go into the subject:
  // first CN, then O.
  TestCertificate Issue(const std::vector<std::string>& names,
                        const std::vector<std::string>& ip_addresses = {});

 private:
  struct KeyFree {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  };
  struct X509Free {
    void operator()(X509* certificate) const { X509_free(certificate); }
  };
  using Key = std::unique_ptr<EVP_PKEY, KeyFree>;
  using Certificate = std::unique_ptr<X509, X509Free>;

  static Key NewKey();
  // Signed by this authority, or by itself when it is the authority's own.
  Certificate Make(EVP_PKEY* key, const std::vector<std::string>& names,
                   const std::vector<std::pair<int, std::string>>& extensions);

  Key key_;
  Certificate certificate_;
  std::string certificate_pem_;
  long serial_ = 1;
};

}  // namespace k3saga::testing
