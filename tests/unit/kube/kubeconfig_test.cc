#include "agent/kube/kubeconfig.h"

#include "tests/unit/common/temp_dir.h"

namespace k3saga::kube {
namespace {

// "ca", "cert" and "secret-key" in base64.
constexpr char kK3sWrites[] = R"(
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Y2E=
    server: https://127.0.0.1:6443
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: Y2VydA==
    client-key-data: c2VjcmV0LWtleQ==
)";

TEST(Kubeconfig, ReadsWhatK3sWrites) {
  const auto config = ParseKubeconfig(kK3sWrites, "/etc/rancher/k3s/k3s.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "https://127.0.0.1:6443");
  EXPECT_EQ(config->ca_pem, "ca");
  EXPECT_EQ(config->client_certificate_pem, "cert");
  EXPECT_EQ(config->client_key_pem, "secret-key");
}

TEST(Kubeconfig, ReadsFilesBesideItAndElsewhere) {
  const TempDir dir;
  dir.Write("tls/ca.crt", "the ca");
  const std::string key = dir.Write("elsewhere/client.key", "the key");
  dir.Write("client.crt", "the certificate");
  const std::string path = dir.Write("admin.kubeconfig", R"(
current-context: second
contexts:
- {name: first, context: {cluster: nowhere, user: nobody}}
- {name: second, context: {cluster: here, user: me}}
clusters:
- {name: here, cluster: {server: "https://10.0.0.1:6443/", certificate-authority: tls/ca.crt}}
users:
- name: me
  user:
    client-certificate: client.crt
    client-key: )" + key + "\n");
  const auto config = LoadKubeconfig(path);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "https://10.0.0.1:6443");
  EXPECT_EQ(config->ca_pem, "the ca");
  EXPECT_EQ(config->client_certificate_pem, "the certificate");
  EXPECT_EQ(config->client_key_pem, "the key");
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(Kubeconfig, SaysWhatIsWrongAndWhereButNoSecret) {
  const struct {
    std::string text;
    const char* said;
  } kCases[] = {
      {"", "expected a kubeconfig"},
      {"- a\n- b\n", "expected a kubeconfig"},
      {"a: [1\nb: 2", "not valid YAML"},
      {Replaced(kK3sWrites, "current-context: default", "current-context: other"),
       "no context called \"other\""},
      {Replaced(kK3sWrites, "    cluster: default", "    cluster: gone"), "no cluster called \"gone\""},
      {Replaced(kK3sWrites, "https://", "http://"), "expected https://"},
      {Replaced(kK3sWrites, "Y2E=", "no.base64"), "certificate-authority-data: expected base64"},
      {Replaced(kK3sWrites, "    certificate-authority-data: Y2E=\n", ""),
       "neither certificate-authority-data"},
      {Replaced(kK3sWrites, "    client-key-data: c2VjcmV0LWtleQ==\n", ""), "neither a client certificate"},
      {Replaced(kK3sWrites, "client-key-data: c2VjcmV0LWtleQ==", "client-key: /no/such/file"),
       "/no/such/file"},
  };
  for (const auto& c : kCases) {
    const auto config = ParseKubeconfig(c.text, "/x/k3s.yaml");
    ASSERT_FALSE(config.ok()) << c.said;
    const std::string message(config.status().message());
    EXPECT_THAT(message, ::testing::HasSubstr(c.said));
    EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr("c2VjcmV0")));
  }
  EXPECT_EQ(LoadKubeconfig("/no/such/kubeconfig").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace k3saga::kube
