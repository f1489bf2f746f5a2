#include "tests/support/test_authority.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>

namespace k3saga::testing {
namespace {

template <typename Write>
std::string Pem(Write write) {
  const std::unique_ptr<BIO, void (*)(BIO*)> bio(BIO_new(BIO_s_mem()), [](BIO* b) { BIO_free(b); });
  if (write(bio.get()) != 1) {
    std::abort();
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

std::string PemOf(X509* certificate) {
  return Pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

}  // namespace

TestAuthority::TestAuthority(const std::string& name) : key_(NewKey()) {
  certificate_ = Make(key_.get(), {name},
                      {{NID_basic_constraints, "critical,CA:TRUE"},
                       {NID_key_usage, "critical,keyCertSign,digitalSignature"}});
  certificate_pem_ = PemOf(certificate_.get());
}

TestCertificate TestAuthority::Issue(const std::vector<std::string>& names,
                                     const std::vector<std::string>& ip_addresses) {
  std::vector<std::pair<int, std::string>> extensions = {
      {NID_key_usage, "critical,digitalSignature,keyEncipherment"},
      {NID_ext_key_usage, "serverAuth,clientAuth"}};
  if (!ip_addresses.empty()) {
    extensions.emplace_back(NID_subject_alt_name, absl::StrCat("IP:", absl::StrJoin(ip_addresses, ",IP:")));
  }
  const Key key = NewKey();
  const Certificate certificate = Make(key.get(), names, extensions);
  return {.certificate_pem = PemOf(certificate.get()),
          .key_pem = Pem([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

TestAuthority::Key TestAuthority::NewKey() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  if (key == nullptr) {
    std::abort();
  }
  return Key(key);
}

TestAuthority::Certificate TestAuthority::Make(EVP_PKEY* key, const std::vector<std::string>& names,
                                               const std::vector<std::pair<int, std::string>>& extensions) {
  Certificate made(X509_new());
  X509* certificate = made.get();
  X509* issuer = certificate_ ? certificate_.get() : certificate;
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial_++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  for (size_t i = 0; i < names.size(); ++i) {
    X509_NAME_add_entry_by_txt(subject, i == 0 ? "CN" : "O", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(names[i].c_str()), -1, -1, 0);
  }
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const auto& [nid, value] : extensions) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    if (extension == nullptr || X509_add_ext(certificate, extension, -1) != 1) {
      std::abort();
    }
    X509_EXTENSION_free(extension);
  }
  if (X509_sign(certificate, key_.get(), EVP_sha256()) == 0) {
    std::abort();
  }
  return made;
}

}  // namespace k3saga::testing
