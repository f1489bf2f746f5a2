#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/tls/identity.h"

namespace k3saga::tls {

// Mutual TLS 1.2 or newer. A caller without a certificate of this identity's authority does not get past the
// handshake; whether it is a coordinator of the right cluster is AuthorizeCoordinator's question, asked by
// every method.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const Identity& identity);

// For calls to agents; one object serves all channels.
std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const Identity& identity);

// Every channel to `node`'s agent needs these: TLS accepts that node's certificate only, and gRPC's own
// retries are off (they abort the process in this gRPC when a peer goes away; the callers retry themselves).
grpc::ChannelArguments AgentChannelArguments(std::string_view node);

// A channel to the agent of `node` at `target` ("ipv4:10.0.0.11:7440"). Connects lazily.
std::shared_ptr<grpc::Channel> MakeAgentChannel(const std::string& target, std::string_view node,
                                                const std::shared_ptr<grpc::ChannelCredentials>& credentials);

// Whom the other end of an authenticated connection speaks for, read from its certificate. kUnauthenticated
// when there is none that names a peer of k3saga.
absl::StatusOr<Peer> PeerOf(const grpc::AuthContext& context);

// OK for a coordinator of `cluster`, kPermissionDenied for everybody else.
absl::Status CheckCoordinator(const Peer& peer, std::string_view cluster);

// Both at once, as a gRPC method wants it: OK, UNAUTHENTICATED or PERMISSION_DENIED. A null context is
// refused.
grpc::Status AuthorizeCoordinator(const std::shared_ptr<const grpc::AuthContext>& context,
                                  std::string_view cluster);

}  // namespace k3saga::tls
