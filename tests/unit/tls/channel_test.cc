// Who gets through: real gRPC over the loopback, real handshakes.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <ctime>

#include "common/tls/credentials.h"
#include "k3saga/v1/agent.grpc.pb.h"

namespace k3saga::tls {
namespace {

class GuardedAgent final : public v1::Agent::Service {
 public:
  grpc::Status GetFacts(grpc::ServerContext* context, const v1::GetFactsRequest*,
                        v1::NodeFacts* facts) override {
    grpc::Status allowed = AuthorizeCoordinator(context->auth_context(), "shop-12");
    if (!allowed.ok()) return allowed;
    facts->set_name("s1");
    return grpc::Status::OK;
  }
};

Identity MakeIdentity(const CertificateAndKey& authority, const Peer& peer) {
  const CertificateAndKey issued = *Issue(authority, peer, time(nullptr), 1);
  return {authority.certificate_pem, issued.certificate_pem, issued.key_pem, peer, 0};
}

class ChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    authority_ = *CreateAuthority("shop-12", time(nullptr), 1);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", MakeServerCredentials(MakeIdentity(authority_, kNode)), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    target_ = absl::StrCat("ipv4:127.0.0.1:", port);
  }
  void TearDown() override { server_->Shutdown(); }

  grpc::Status Call(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                    std::string_view node = "s1") {
    auto channel = MakeAgentChannel(target_, node, credentials);
    auto stub = v1::Agent::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::NodeFacts facts;
    grpc::Status status = stub->GetFacts(&context, v1::GetFactsRequest(), &facts);
    if (status.ok()) {
      EXPECT_EQ(facts.name(), "s1");
    } else {
      EXPECT_EQ(facts.name(), "");
    }
    return status;
  }
  grpc::Status CallAs(const CertificateAndKey& authority, const Peer& peer) {
    Identity identity = MakeIdentity(authority, peer);
    identity.ca_pem =
        authority_.certificate_pem;  // the stranger trusts the agent; does the agent trust the stranger?
    return Call(MakeChannelCredentials(identity));
  }

  const Peer kNode{"shop-12", PeerRole::kAgent, "s1"};
  const Peer kAlice{"shop-12", PeerRole::kCoordinator, "alice"};
  CertificateAndKey authority_;
  GuardedAgent service_;
  std::unique_ptr<grpc::Server> server_;
  std::string target_;
};

TEST_F(ChannelTest, ACoordinatorOfTheClusterIsServed) {
  grpc::Status status = CallAs(authority_, kAlice);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(ChannelTest, WithoutACertificateThereIsNoHandshake) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = authority_.certificate_pem;
  EXPECT_EQ(Call(grpc::SslCredentials(options)).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Call(grpc::InsecureChannelCredentials()).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ChannelTest, AnotherAuthorityIsRefused) {
  const CertificateAndKey other = *CreateAuthority("shop-12", time(nullptr), 1);
  EXPECT_EQ(CallAs(other, kAlice).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ChannelTest, AnAgentCannotCallAnAgent) {
  EXPECT_EQ(CallAs(authority_, {"shop-12", PeerRole::kAgent, "w1"}).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ChannelTest, ACoordinatorOfAnotherClusterIsDenied) {
  grpc::Status status = CallAs(authority_, {"shop-13", PeerRole::kCoordinator, "alice"});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("belongs to cluster shop-13"));
}

TEST_F(ChannelTest, AnAgentCannotPoseAsAnother) {
  grpc::Status status = Call(MakeChannelCredentials(MakeIdentity(authority_, kAlice)), "s2");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ChannelTest, AnAgentOfAnotherAuthorityIsNotBelieved) {
  const CertificateAndKey other = *CreateAuthority("shop-12", time(nullptr), 1);
  EXPECT_EQ(Call(MakeChannelCredentials(MakeIdentity(other, kAlice))).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST(CheckCoordinator, WhateverTlsLetThrough) {
  EXPECT_TRUE(CheckCoordinator({"a", PeerRole::kCoordinator, "x"}, "a").ok());
  for (const Peer& peer : {Peer{"a", PeerRole::kAgent, "x"}, Peer{"b", PeerRole::kCoordinator, "x"}}) {
    EXPECT_EQ(CheckCoordinator(peer, "a").code(), absl::StatusCode::kPermissionDenied);
  }
  EXPECT_EQ(AuthorizeCoordinator(nullptr, "a").error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace k3saga::tls
