#pragma once

#include <grpcpp/security/credentials.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/host/loop.h"
#include "coordinator/fleet/fleet.h"

namespace k3saga::fleet {

class CallRegistry;

struct AgentAddress {
  std::string node;
  std::string target;  // "ipv4:10.0.0.11:7440" or "ipv6:[fd00::11]:7440"
};

// Agents over mutual TLS. A channel a node, opened by the first call and kept; thousands of calls wait on
// gRPC's few callback threads, which do nothing but post to the loop. Node A's agent cannot stand in for node
// B's: each channel insists on the name `<node>.agent.k3saga`.
//
// The loop must outlive the fleet. Destroyed on the loop's thread (or when the loop has stopped): cancels
// what is under way and waits until gRPC is done with it.
class GrpcFleet final : public Fleet {
 public:
  // `credentials` are shared by all channels.
  GrpcFleet(Loop& loop, std::shared_ptr<grpc::ChannelCredentials> credentials,
            const std::vector<AgentAddress>& agents);
  ~GrpcFleet() override;

  CallHandle GetFacts(const std::string& node, const v1::GetFactsRequest& request,
                      std::chrono::milliseconds timeout, Done<v1::NodeFacts> done) override;
  CallHandle Probe(const std::string& node, const v1::ProbeRequest& request,
                   std::chrono::milliseconds timeout, Done<v1::ServerProof> done) override;
  CallHandle Run(const std::string& node, const v1::RunRequest& request, std::chrono::milliseconds timeout,
                 RunEvents events) override;
  CallHandle Cancel(const std::string& node, const v1::CancelRequest& request,
                    std::chrono::milliseconds timeout, Done<v1::CancelReply> done) override;
  CallHandle ListOperations(const std::string& node, const v1::ListOperationsRequest& request,
                            std::chrono::milliseconds timeout, Done<v1::ListOperationsReply> done) override;
  CallHandle ReplaceAgent(const std::string& node, const v1::ReplaceAgentRequest& request,
                          std::chrono::milliseconds timeout, Done<v1::ReplaceAgentReply> done) override;
  CallHandle VerifyBackup(const std::string& node, const v1::VerifyBackupRequest& request,
                          std::chrono::milliseconds timeout, Done<v1::VerifyBackupReply> done) override;
  CallHandle Upload(const std::string& node, const v1::Authority& authority, const UploadFile& file,
                    std::chrono::milliseconds timeout, Transferred moved,
                    Done<v1::UploadReply> done) override;
  CallHandle Download(const std::string& node, const v1::Authority& authority, const DownloadFile& file,
                      std::chrono::milliseconds timeout, Transferred moved, Done<uint64_t> done) override;

 private:
  class Channels;

  static absl::Status NoSuchNode(const std::string& node);
  template <typename Reply>
  CallHandle Answer(const std::string& node, absl::StatusOr<Reply> answer, Done<Reply> done);
  template <typename Request, typename Reply, typename Method>
  CallHandle Ask(const std::string& node, Method method, const Request& request,
                 std::chrono::milliseconds timeout, Done<Reply> done);

  std::unique_ptr<Channels> channels_;
  const std::shared_ptr<CallRegistry> calls_;
};

}  // namespace k3saga::fleet
