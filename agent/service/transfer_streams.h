#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>

#include "agent/operations/worker_pool.h"
#include "agent/service/ports.h"
#include "k3saga/v1/agent.pb.h"

namespace k3saga::service {

using CheckAuthority = std::function<grpc::Status(const v1::Authority&)>;

// A file on its way in: each chunk is written on the pool before the next one is read. What was written stays
// when the stream breaks. Deletes itself.
class UploadStream final : public grpc::ServerReadReactor<v1::UploadChunk> {
 public:
  UploadStream(Transfers* transfers, operations::WorkerPool* pool, v1::UploadReply* reply,
               CheckAuthority check)
      : transfers_(transfers), pool_(pool), reply_(reply), check_(std::move(check)) {}

  void Begin() { StartRead(&chunk_); }
  void OnReadDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  grpc::Status Take();
  grpc::Status Complete();

  Transfers* const transfers_;
  operations::WorkerPool* const pool_;
  v1::UploadReply* const reply_;
  const CheckAuthority check_;
  v1::UploadChunk chunk_;
  bool named_ = false;  // the first chunk came
  std::string sha256_, version_, file_name_;
};

// A backup's file on its way out, from the offset asked for. Deletes itself.
class DownloadStream final : public grpc::ServerWriteReactor<v1::DownloadChunk> {
 public:
  DownloadStream(Transfers* transfers, operations::WorkerPool* pool, v1::DownloadRequest request,
                 CheckAuthority check)
      : transfers_(transfers), pool_(pool), request_(std::move(request)), check_(std::move(check)) {}

  void Begin();
  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  grpc::Status Open();
  void Next();

  Transfers* const transfers_;
  operations::WorkerPool* const pool_;
  const v1::DownloadRequest request_;
  const CheckAuthority check_;
  std::ifstream file_;
  uint64_t total_ = 0;
  uint64_t offset_ = 0;
  bool said_ = false;
  v1::DownloadChunk chunk_;
};

}  // namespace k3saga::service
