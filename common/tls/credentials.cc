#include "common/tls/credentials.h"

#include <absl/strings/str_cat.h>
#include <grpc/grpc_security_constants.h>

#include <vector>

namespace k3saga::tls {

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const Identity& identity) {
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = identity.ca_pem;
  options.pem_key_cert_pairs.push_back({identity.key_pem, identity.certificate_pem});
  return grpc::SslServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const Identity& identity) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = identity.ca_pem;
  options.pem_private_key = identity.key_pem;
  options.pem_cert_chain = identity.certificate_pem;
  return grpc::SslCredentials(options);
}

grpc::ChannelArguments AgentChannelArguments(std::string_view node) {
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(AgentHostName(node));
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return arguments;
}

std::shared_ptr<grpc::Channel> MakeAgentChannel(
    const std::string& target, std::string_view node,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  return grpc::CreateCustomChannel(target, credentials, AgentChannelArguments(node));
}

absl::StatusOr<Peer> PeerOf(const grpc::AuthContext& context) {
  if (!context.IsPeerAuthenticated()) return absl::UnauthenticatedError("the caller showed no certificate");
  std::vector<grpc::string_ref> certificates = context.FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (certificates.size() != 1) return absl::UnauthenticatedError("the caller showed no certificate");
  auto peer = PeerOfCertificate(std::string_view(certificates.front().data(), certificates.front().size()));
  if (!peer.ok()) return absl::UnauthenticatedError(peer.status().message());
  return peer;
}

absl::Status CheckCoordinator(const Peer& peer, std::string_view cluster) {
  if (peer.cluster != cluster) {
    return absl::PermissionDeniedError(absl::StrCat(Describe(peer), " belongs to cluster ", peer.cluster,
                                                    ", not to ", std::string(cluster)));
  }
  if (peer.role != PeerRole::kCoordinator) {
    return absl::PermissionDeniedError(absl::StrCat(Describe(peer), " is not a coordinator"));
  }
  return absl::OkStatus();
}

grpc::Status AuthorizeCoordinator(const std::shared_ptr<const grpc::AuthContext>& context,
                                  std::string_view cluster) {
  if (context == nullptr)
    return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "the connection is not authenticated");
  auto peer = PeerOf(*context);
  absl::Status status = peer.ok() ? CheckCoordinator(*peer, cluster) : peer.status();
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace k3saga::tls
