#include "common/tls/certificate.h"

#include <ctime>

namespace k3saga::tls {
namespace {

constexpr int kDays = 30;
constexpr int64_t kDay = 24 * 60 * 60;

CertificateAndKey Authority(std::string_view cluster = "shop-12") {
  auto authority = CreateAuthority(cluster, time(nullptr), kDays);
  EXPECT_TRUE(authority.ok()) << authority.status();
  return *authority;
}

TEST(PeerUri, GoesThereAndBack) {
  for (const Peer& peer : {Peer{"shop-12", PeerRole::kAgent, "s1.example"},
                           Peer{"a", PeerRole::kCoordinator, "Alice_B@host.example"}}) {
    auto parsed = ParsePeerUri(PeerUri(peer));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, peer);
  }
  EXPECT_EQ(PeerUri({"shop-12", PeerRole::kAgent, "s1"}), "spiffe://shop-12.k3saga/agent/s1");
}

TEST(PeerUri, RefusesEverythingElse) {
  for (const char* uri :
       {"", "spiffe://", "http://shop.k3saga/agent/s1", "spiffe://shop.k3saga/agent",
        "spiffe://shop.k3saga/agent/", "spiffe://shop.k3saga/admin/s1", "spiffe://shop.example/agent/s1",
        "spiffe://shop.k3saga/agent/s1/x", "spiffe://.k3saga/agent/s1", "spiffe://Shop.k3saga/agent/s1",
        "spiffe://shop.k3saga/agent/s1,DNS:s2", "spiffe://shop.k3saga/coordinator/a b",
        "spiffe://shop.k3saga/agent/-s1", "spiffe://shop.k3saga/agent/a..b"}) {
    EXPECT_FALSE(ParsePeerUri(uri).ok()) << uri;
  }
}

TEST(Certificate, SaysWhoseItIs) {
  const CertificateAndKey authority = Authority();
  for (const Peer& peer :
       {Peer{"shop-12", PeerRole::kAgent, "s1"}, Peer{"shop-12", PeerRole::kCoordinator, "alice"}}) {
    auto issued = Issue(authority, peer, time(nullptr), kDays);
    ASSERT_TRUE(issued.ok()) << issued.status();
    auto read = PeerOfCertificate(issued->certificate_pem);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, peer);
    EXPECT_EQ(
        CheckCertificate(authority.certificate_pem, issued->certificate_pem, issued->key_pem, time(nullptr)),
        absl::OkStatus());
  }
}

TEST(Certificate, AnAuthorityIsNobody) {
  auto peer = PeerOfCertificate(Authority().certificate_pem);
  EXPECT_FALSE(peer.ok());
  EXPECT_THAT(std::string(peer.status().message()), testing::HasSubstr("0 URI names"));
}

TEST(Certificate, IsCheckedAgainstAuthorityKeyAndTime) {
  const int64_t now = time(nullptr);
  const CertificateAndKey authority = Authority();
  const CertificateAndKey other = Authority();
  const Peer peer{"shop-12", PeerRole::kAgent, "s1"};
  const CertificateAndKey mine = *Issue(authority, peer, now, kDays);
  const CertificateAndKey again = *Issue(authority, peer, now, kDays);

  struct {
    const char* name;
    std::string ca, certificate, key;
    int64_t now;
    const char* expected;
  } const cases[] = {
      {"another authority", other.certificate_pem, mine.certificate_pem, mine.key_pem, now, "not signed by"},
      {"another key", authority.certificate_pem, mine.certificate_pem, again.key_pem, now,
       "key does not belong"},
      {"expired", authority.certificate_pem, mine.certificate_pem, mine.key_pem, now + (kDays + 1) * kDay,
       "expired"},
      {"clock behind", authority.certificate_pem, mine.certificate_pem, mine.key_pem, now - kDay,
       "valid only from"},
      {"no authority", "nothing", mine.certificate_pem, mine.key_pem, now, "authority's file"},
      {"no certificate", authority.certificate_pem, "nothing", mine.key_pem, now, "no certificate"},
      {"no key", authority.certificate_pem, mine.certificate_pem, "nothing", now, "private key"},
  };
  for (const auto& c : cases) {
    absl::Status status = CheckCertificate(c.ca, c.certificate, c.key, c.now);
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(c.expected)) << c.name;
  }
  EXPECT_EQ(CheckCertificate(other.certificate_pem + authority.certificate_pem, mine.certificate_pem,
                             mine.key_pem, now),
            absl::OkStatus())
      << "a bundle of an old and a new authority";
}

TEST(Certificate, NamesThatWouldMeanMoreAreNotIssued) {
  const CertificateAndKey authority = Authority();
  for (const char* name : {"", "s1,DNS:s2", "S1", "s1\ns2", "s1:", "../s1"}) {
    EXPECT_FALSE(Issue(authority, {"shop-12", PeerRole::kAgent, name}, time(nullptr), kDays).ok()) << name;
  }
  EXPECT_FALSE(CreateAuthority("Shop 12", time(nullptr), kDays).ok());
  const std::string longest(200, 'a');
  EXPECT_TRUE(Issue(authority, {"shop-12", PeerRole::kAgent, longest}, time(nullptr), kDays).ok());
}

}  // namespace
}  // namespace k3saga::tls
