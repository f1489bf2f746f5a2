#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "agent/operations/supervisor.h"
#include "agent/operations/worker_pool.h"
#include "k3saga/v1/agent.pb.h"

namespace k3saga::service {

// One caller's view of one operation: accepted, then progress, last the outcome. When the caller goes away
// the operation does not notice. Deletes itself when gRPC is done with it.
class RunStream final : public grpc::ServerWriteReactor<v1::RunReply> {
 public:
  RunStream();

  // Starts or attaches, on the pool.
  void Begin(const std::string& journal_id, operations::Supervisor* supervisor, operations::WorkerPool* pool,
             const v1::RunRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  class Session;
  const std::shared_ptr<Session> session_;
};

}  // namespace k3saga::service
