#include "agent/kube/http.h"

#include "agent/kube/kubeconfig.h"
#include "common/host/files.h"
#include "tests/support/fake_kubernetes.h"

namespace k3saga::kube {
namespace {

using std::chrono::milliseconds;
using testing::FakeKubernetes;
using testing::FakeTime;

class HttpTest : public ::testing::Test {
 protected:
  HttpIdentity Admin() const {
    const Kubeconfig config = *LoadKubeconfig(api_.KubeconfigPath());
    return {.ca_pem = config.ca_pem,
            .certificate_pem = config.client_certificate_pem,
            .key_pem = config.client_key_pem,
            .bearer_token = ""};
  }
  HttpRequest Readyz() const {
    HttpRequest request;
    request.url = api_.Url() + "/readyz";
    return request;
  }

  std::mutex hold_;  // outlives the server, which may still be waiting for it
  FakeTime time_;
  FakeKubernetes api_{time_};
};

TEST_F(HttpTest, SpeaksMutualTlsAndHearsTheServersClock) {
  HttpClient client(Admin());
  for (int i = 0; i < 3; ++i) {  // the connection is used again, also after a rest
    const auto response = client.Send(Readyz());
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->date_unix_ms, FakeTime::kStartUnixMillis);
    EXPECT_EQ(response->retry_after, std::nullopt);
    if (i == 1) {
      client.Rest();
    }
  }
}

TEST_F(HttpTest, TrustsOnlyItsAuthority) {
  HttpIdentity identity = Admin();
  identity.ca_pem = testing::TestAuthority("another").certificate_pem();
  const auto response = HttpClient(identity).Send(Readyz());
  EXPECT_EQ(response.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(response.status().message()), ::testing::HasSubstr("certificate"));
}

TEST_F(HttpTest, IsRefusedWithoutAClientCertificate) {
  HttpIdentity identity = Admin();
  identity.certificate_pem.clear();
  identity.key_pem.clear();
  EXPECT_EQ(HttpClient(identity).Send(Readyz()).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(HttpTest, LimitsTheAnswersSize) {
  HttpRequest request = Readyz();
  request.largest_reply = 5;
  EXPECT_EQ(HttpClient(Admin()).Send(request).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(HttpTest, SaysThatNobodyListens) {
  HttpRequest request;
  request.url = "https://127.0.0.1:1/readyz";
  EXPECT_EQ(HttpClient(Admin()).Send(request).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(HttpTest, EndsAtItsDeadline) {
  api_.before = [this](const std::string&, const std::string&) { const std::lock_guard wait(hold_); };
  HttpRequest request = Readyz();
  request.timeout = milliseconds(100);
  {
    const std::lock_guard held(hold_);
    EXPECT_EQ(HttpClient(Admin()).Send(request).status().code(), absl::StatusCode::kDeadlineExceeded);
  }
}

}  // namespace
}  // namespace k3saga::kube
