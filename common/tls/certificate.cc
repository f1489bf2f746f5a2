#include "common/tls/certificate.h"

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <vector>

#include "common/status_macros.h"

namespace k3saga::tls {
namespace {

constexpr int64_t kSecondsPerDay = 24 * 60 * 60;
constexpr int64_t kClockSkewSeconds = 5 * 60;
constexpr int kSerialBits = 127;  // positive and within RFC 5280's 20 octets
constexpr int kLongestCommonName = 64;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Deleter<X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;

// The last entry of OpenSSL's error queue says what went wrong; the queue is left empty.
absl::Status OpensslError(std::string_view what) {
  char text[256] = "unknown error";
  if (unsigned long code = ERR_peek_last_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return absl::InternalError(absl::StrCat(std::string(what), ": OpenSSL says ", text));
}

BioPtr Reading(std::string_view pem) {
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

absl::StatusOr<CertificatePtr> ReadCertificate(std::string_view pem) {
  BioPtr bio = Reading(pem);
  CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) {
    ERR_clear_error();
    return absl::InvalidArgumentError("no certificate in PEM form");
  }
  return certificate;
}

absl::StatusOr<KeyPtr> ReadKey(std::string_view pem) {
  BioPtr bio = Reading(pem);
  // An empty passphrase instead of OpenSSL's default, which would ask on the terminal.
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, const_cast<char*>("")));
  if (key == nullptr) {
    ERR_clear_error();
    return absl::InvalidArgumentError("no unencrypted private key in PEM form");
  }
  return key;
}

absl::StatusOr<CertificateAndKey> ToPem(X509* certificate, EVP_PKEY* key) {
  BioPtr certificate_bio(BIO_new(BIO_s_mem()));
  BioPtr key_bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_X509(certificate_bio.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpensslError("writing a certificate");
  }
  return CertificateAndKey{Contents(certificate_bio.get()), Contents(key_bio.get())};
}

absl::Status SetSerial(X509* certificate) {
  BignumPtr serial(BN_new());
  if (BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return OpensslError("choosing a serial number");
  }
  return absl::OkStatus();
}

absl::Status SetSubject(X509* certificate, std::string_view common_name) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  std::string text(common_name.substr(0, kLongestCommonName));
  auto add = [subject](const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  if (!add("O", "k3saga") || !add("CN", text)) return OpensslError("naming a certificate's subject");
  return absl::OkStatus();
}

struct Extension {
  int nid;
  std::string value;
};

// The values are put together from checked names and constants only: OpenSSL gives "," and ":" a meaning in
// them.
absl::Status AddExtensions(X509* certificate, X509* issuer, const std::vector<Extension>& extensions) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const Extension& extension : extensions) {
    ExtensionPtr made(X509V3_EXT_conf_nid(nullptr, &context, extension.nid, extension.value.c_str()));
    if (made == nullptr || X509_add_ext(certificate, made.get(), -1) != 1) {
      return OpensslError(absl::StrCat("adding ", OBJ_nid2sn(extension.nid)));
    }
  }
  return absl::OkStatus();
}

// Everything that an authority and a leaf have in common; `issuer` is null for a self-signed certificate.
absl::StatusOr<CertificatePtr> MakeCertificate(EVP_PKEY* key, std::string_view common_name, X509* issuer,
                                               int64_t now_unix, int days) {
  CertificatePtr certificate(X509_new());
  if (certificate == nullptr || X509_set_version(certificate.get(), X509_VERSION_3) != 1) {
    return OpensslError("making a certificate");
  }
  K3SAGA_RETURN_IF_ERROR(SetSerial(certificate.get()));
  K3SAGA_RETURN_IF_ERROR(SetSubject(certificate.get(), common_name));
  const int64_t not_before = now_unix - kClockSkewSeconds;
  const int64_t not_after = now_unix + days * kSecondsPerDay;
  if (ASN1_TIME_set(X509_getm_notBefore(certificate.get()), not_before) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), not_after) == nullptr ||
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer ? issuer : certificate.get())) !=
          1 ||
      X509_set_pubkey(certificate.get(), key) != 1) {
    return OpensslError("filling in a certificate");
  }
  return certificate;
}

absl::StatusOr<KeyPtr> NewKey() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpensslError("making an EC P-256 key");
  return key;
}

absl::Status Sign(X509* certificate, EVP_PKEY* authority_key) {
  if (X509_sign(certificate, authority_key, EVP_sha256()) == 0) return OpensslError("signing a certificate");
  return absl::OkStatus();
}

int64_t ToUnix(const ASN1_TIME* time) {
  tm broken_down{};
  if (ASN1_TIME_to_tm(time, &broken_down) != 1) return 0;
  return timegm(&broken_down);
}

std::string Date(int64_t unix_seconds) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(unix_seconds), absl::UTCTimeZone());
}

// Every certificate of a bundle: during a change of authority the file holds the old and the new one.
absl::StatusOr<StorePtr> ReadAuthorities(std::string_view ca_pem) {
  StorePtr store(X509_STORE_new());
  BioPtr bio = Reading(ca_pem);
  int found = 0;
  while (CertificatePtr authority{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    if (X509_STORE_add_cert(store.get(), authority.get()) != 1) return OpensslError("reading the authority");
    ++found;
  }
  ERR_clear_error();
  if (found == 0) return absl::InvalidArgumentError("the authority's file holds no certificate in PEM form");
  return store;
}

}  // namespace

absl::StatusOr<CertificateAndKey> CreateAuthority(std::string_view cluster, int64_t now_unix, int days) {
  K3SAGA_RETURN_IF_ERROR(CheckClusterName(cluster));
  K3SAGA_ASSIGN_OR_RETURN(KeyPtr key, NewKey());
  K3SAGA_ASSIGN_OR_RETURN(
      CertificatePtr certificate,
      MakeCertificate(key.get(), absl::StrCat(std::string(cluster), " authority"), nullptr, now_unix, days));
  K3SAGA_RETURN_IF_ERROR(AddExtensions(certificate.get(), certificate.get(),
                                       {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                        {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                        {NID_subject_key_identifier, "hash"}}));
  K3SAGA_RETURN_IF_ERROR(Sign(certificate.get(), key.get()));
  return ToPem(certificate.get(), key.get());
}

absl::StatusOr<CertificateAndKey> Issue(const CertificateAndKey& authority, const Peer& peer,
                                        int64_t now_unix, int days) {
  K3SAGA_RETURN_IF_ERROR(CheckPeer(peer));
  K3SAGA_ASSIGN_OR_RETURN(CertificatePtr issuer, ReadCertificate(authority.certificate_pem));
  K3SAGA_ASSIGN_OR_RETURN(KeyPtr issuer_key, ReadKey(authority.key_pem));
  if (X509_check_private_key(issuer.get(), issuer_key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("the authority's key does not belong to its certificate");
  }
  K3SAGA_ASSIGN_OR_RETURN(KeyPtr key, NewKey());
  K3SAGA_ASSIGN_OR_RETURN(CertificatePtr certificate,
                          MakeCertificate(key.get(), Describe(peer), issuer.get(), now_unix, days));
  const bool agent = peer.role == PeerRole::kAgent;
  std::string names = absl::StrCat("URI:", PeerUri(peer));
  if (agent) absl::StrAppend(&names, ",DNS:", AgentHostName(peer.name));
  K3SAGA_RETURN_IF_ERROR(AddExtensions(certificate.get(), issuer.get(),
                                       {{NID_basic_constraints, "critical,CA:FALSE"},
                                        {NID_key_usage, "critical,digitalSignature"},
                                        {NID_ext_key_usage, agent ? "serverAuth" : "clientAuth"},
                                        {NID_subject_key_identifier, "hash"},
                                        {NID_authority_key_identifier, "keyid"},
                                        {NID_subject_alt_name, names}}));
  K3SAGA_RETURN_IF_ERROR(Sign(certificate.get(), issuer_key.get()));
  return ToPem(certificate.get(), key.get());
}

absl::StatusOr<Peer> PeerOfCertificate(std::string_view certificate_pem) {
  K3SAGA_ASSIGN_OR_RETURN(CertificatePtr certificate, ReadCertificate(certificate_pem));
  NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> uris;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                      static_cast<size_t>(ASN1_STRING_length(uri)));
  }
  if (uris.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("the certificate carries ", uris.size(),
                                                   " URI names; an identity of k3saga carries one"));
  }
  return ParsePeerUri(uris.front());
}

absl::StatusOr<CertificateFacts> FactsOfCertificate(std::string_view certificate_pem) {
  K3SAGA_ASSIGN_OR_RETURN(CertificatePtr certificate, ReadCertificate(certificate_pem));
  return CertificateFacts{ToUnix(X509_get0_notBefore(certificate.get())),
                          ToUnix(X509_get0_notAfter(certificate.get()))};
}

absl::Status CheckCertificate(std::string_view ca_pem, std::string_view certificate_pem,
                              std::string_view key_pem, int64_t now_unix) {
  K3SAGA_ASSIGN_OR_RETURN(CertificatePtr certificate, ReadCertificate(certificate_pem));
  K3SAGA_ASSIGN_OR_RETURN(KeyPtr key, ReadKey(key_pem));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return absl::FailedPreconditionError("the key does not belong to the certificate");
  }
  K3SAGA_ASSIGN_OR_RETURN(StorePtr store, ReadAuthorities(ca_pem));
  StoreContextPtr context(X509_STORE_CTX_new());
  if (context == nullptr ||
      X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) != 1) {
    return OpensslError("checking a certificate");
  }
  X509_STORE_CTX_set_time(context.get(), 0, now_unix);
  if (X509_verify_cert(context.get()) == 1) return absl::OkStatus();
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return absl::FailedPreconditionError(absl::StrCat("the certificate or its authority expired (",
                                                        Date(ToUnix(X509_get0_notAfter(certificate.get()))),
                                                        ")"));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return absl::FailedPreconditionError(absl::StrCat("the certificate is valid only from ",
                                                        Date(ToUnix(X509_get0_notBefore(certificate.get()))),
                                                        "; is this machine's clock right?"));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return absl::FailedPreconditionError("the certificate was not signed by this authority");
    default:
      return absl::FailedPreconditionError(
          absl::StrCat("the certificate is not accepted: ", X509_verify_cert_error_string(error)));
  }
}

}  // namespace k3saga::tls
