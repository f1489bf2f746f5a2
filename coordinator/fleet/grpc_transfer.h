#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "common/host/unique_fd.h"
#include "coordinator/fleet/grpc_call.h"

// Files over an agent's channel. The bytes are read and written on gRPC's threads, chunk after chunk as the
// network takes them; only telemetry and the end go through the loop.
namespace k3saga::fleet {

inline constexpr size_t kChunkBytes = 128 << 10;

// The sending half of an upload, from the offset that BeginUpload told.
class UploadCall final : public GrpcCall, private grpc::ClientWriteReactor<v1::UploadChunk> {
 public:
  UploadCall(std::shared_ptr<CallRegistry> registry, std::string node, UploadFile file, UniqueFd fd,
             Transferred moved, Done<v1::UploadReply> done);

  void Start(v1::Agent::Stub& stub, const v1::Authority& authority, uint64_t offset,
             std::chrono::milliseconds timeout);

 private:
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;
  void SendNext();

  const UploadFile file_;
  const UniqueFd fd_;
  const Transferred moved_;
  const Done<v1::UploadReply> done_;
  // gRPC's threads, one reaction at a time; the loop reads them when gRPC is done.
  v1::UploadChunk chunk_;
  uint64_t offset_ = 0;
  absl::Status local_error_;
  v1::UploadReply reply_;
};

// Appends to `<path>.part` and renames it when it is whole and durable.
class DownloadCall final : public GrpcCall, private grpc::ClientReadReactor<v1::DownloadChunk> {
 public:
  DownloadCall(std::shared_ptr<CallRegistry> registry, std::string node, std::string path, UniqueFd part,
               Transferred moved, Done<uint64_t> done);

  void Start(v1::Agent::Stub& stub, const v1::DownloadRequest& request, std::chrono::milliseconds timeout);

 private:
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;
  absl::Status Settle();

  const std::string path_;
  const UniqueFd part_;
  const Transferred moved_;
  const Done<uint64_t> done_;
  v1::DownloadRequest request_;
  v1::DownloadChunk chunk_;
  uint64_t offset_ = 0;
  uint64_t total_ = 0;
  absl::Status local_error_;
};

}  // namespace k3saga::fleet
