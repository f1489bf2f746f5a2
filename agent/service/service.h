#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/operations/journal.h"
#include "agent/operations/supervisor.h"
#include "agent/operations/worker_pool.h"
#include "agent/service/ports.h"
#include "k3saga/v1/agent.grpc.pb.h"

namespace k3saga::service {

// The Agent service. Every method first asks whether the caller is a coordinator of this cluster; then the
// work is done on the pool, so that gRPC's few threads never wait for a disk or a node.
class AgentService final : public v1::Agent::CallbackService {
 public:
  struct Parts {
    std::string cluster;  // of the agent's own certificate
    operations::Journal* journal = nullptr;
    operations::Supervisor* supervisor = nullptr;
    Reader* reader = nullptr;
    Transfers* transfers = nullptr;
    Replacing* replacing = nullptr;
    operations::WorkerPool* pool = nullptr;
  };
  // All parts must outlive the server that serves this.
  explicit AgentService(Parts parts) : parts_(std::move(parts)) {}

  // How many calls came so far. Thread-safe.
  uint64_t Calls() const { return calls_.load(std::memory_order_relaxed); }

  grpc::ServerUnaryReactor* GetFacts(grpc::CallbackServerContext* context, const v1::GetFactsRequest* request,
                                     v1::NodeFacts* facts) override;
  grpc::ServerUnaryReactor* Probe(grpc::CallbackServerContext* context, const v1::ProbeRequest* request,
                                  v1::ServerProof* proof) override;
  grpc::ServerWriteReactor<v1::RunReply>* Run(grpc::CallbackServerContext* context,
                                              const v1::RunRequest* request) override;
  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context, const v1::CancelRequest* request,
                                   v1::CancelReply* reply) override;
  grpc::ServerUnaryReactor* ListOperations(grpc::CallbackServerContext* context,
                                           const v1::ListOperationsRequest* request,
                                           v1::ListOperationsReply* reply) override;
  grpc::ServerUnaryReactor* VerifyBackup(grpc::CallbackServerContext* context,
                                         const v1::VerifyBackupRequest* request,
                                         v1::VerifyBackupReply* reply) override;
  grpc::ServerUnaryReactor* BeginUpload(grpc::CallbackServerContext* context,
                                        const v1::BeginUploadRequest* request,
                                        v1::BeginUploadReply* reply) override;
  grpc::ServerReadReactor<v1::UploadChunk>* Upload(grpc::CallbackServerContext* context,
                                                   v1::UploadReply* reply) override;
  grpc::ServerWriteReactor<v1::DownloadChunk>* Download(grpc::CallbackServerContext* context,
                                                        const v1::DownloadRequest* request) override;
  grpc::ServerUnaryReactor* ReplaceAgent(grpc::CallbackServerContext* context,
                                         const v1::ReplaceAgentRequest* request,
                                         v1::ReplaceAgentReply* reply) override;

 private:
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, std::function<grpc::Status()> work);
  grpc::Status Allowed(grpc::CallbackServerContext* context);
  // Refuses an authority that is not current.
  grpc::Status Current(const v1::Authority& authority) const;

  const Parts parts_;
  std::atomic<uint64_t> calls_{0};
};

// The error as the wire has it: the code, the sentence, and the typed reason in the details.
grpc::Status ToGrpc(const absl::Status& status);

// How the agent's server listens: message sizes, keepalive, no more than is needed.
void ConfigureServer(grpc::ServerBuilder& builder);

}  // namespace k3saga::service
