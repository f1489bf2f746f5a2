#include "common/host/secrets.h"

namespace k3saga {
namespace {

TEST(Secrets, AreKnownByTheirNames) {
  for (const char* name :
       {"--token", "-t", "K3S_TOKEN", "agent-token", "K3S_AGENT_TOKEN", "--datastore-endpoint",
        "K3S_DATASTORE_ENDPOINT", "etcd-s3-secret-key", "etcd-s3-access-key", "K3S_CLUSTER_SECRET",
        "AWS_SECRET_ACCESS_KEY", "vpn-auth", "oidc-client-secret", "DB_PASSWD"}) {
    EXPECT_TRUE(IsSecretName(name)) << name;
  }
  for (const char* name :
       {"--token-file", "K3S_TOKEN_FILE", "agent-token-file", "datastore-keyfile", "--disable", "K3S_URL",
        "tls-san", "vpn-auth-file", "node-name", "secrets-encryption", ""}) {
    EXPECT_FALSE(IsSecretName(name)) << name;
  }
}

TEST(Secrets, PasswordsInUrlsAreMasked) {
  EXPECT_EQ(MaskUrl("http://user:p@ss@proxy:3128/x@y"), "http://***@proxy:3128/x@y");
  EXPECT_EQ(MaskUrl("https://10.0.0.1:6443"), "https://10.0.0.1:6443");
  EXPECT_EQ(MaskUrl("no url"), "no url");
  EXPECT_EQ(MaskValue("HTTPS_PROXY", "http://a:b@c"), "http://***@c");
  EXPECT_EQ(MaskValue("--token", "K10abc"), "***");
  EXPECT_EQ(MaskValue("--token", ""), "");
}

TEST(Secrets, BehindAnInnerNameAreFound) {
  EXPECT_EQ(MaskValue("--kube-apiserver-arg", "oidc-client-secret=hush=hush"), "oidc-client-secret=***");
  EXPECT_EQ(MaskValue("kubelet-arg", "v=4"), "v=4");
  EXPECT_EQ(MaskValue("kubelet-arg", "token"), "token");
  EXPECT_EQ(MaskValue("--node-label", "token=blue"), "token=blue");  // labels are for everybody
  EXPECT_EQ(SecretIn("kube-apiserver-arg", "oidc-client-secret=hush"), "hush");
  EXPECT_EQ(SecretIn("--token", "K10abc"), "K10abc");
  EXPECT_EQ(SecretIn("--node-name", "s1"), "");
}

TEST(Secrets, AreRemovedFromForeignText) {
  SecretMask mask;
  mask.Add("secret");
  mask.Add("secret-and-more");
  mask.Add("x");
  EXPECT_EQ(mask.Apply("x secret-and-more, secret"), "x ***, ***");
}

}  // namespace
}  // namespace k3saga
