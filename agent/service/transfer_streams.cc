#include "agent/service/transfer_streams.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "agent/node/uploads.h"
#include "agent/service/service.h"
#include "common/host/crash_point.h"
#include "common/host/files.h"

namespace k3saga::service {
namespace {

CrashPoint chunk_received("agent.rpc.upload.received");
CrashPoint chunk_taken("agent.rpc.upload.taken");
CrashPoint upload_complete("agent.rpc.upload.complete");
CrashPoint chunk_sending("agent.rpc.download.sending");
CrashPoint chunk_sent("agent.rpc.download.sent");

constexpr uint64_t kChunk = 128 * 1024;

}  // namespace

void UploadStream::OnReadDone(bool ok) {
  pool_->Post([this, ok] {
    if (!ok) {  // the sender is done, or gone
      const grpc::Status status = Complete();
      upload_complete.MaybeDie();
      Finish(status);
      return;
    }
    chunk_received.MaybeDie();
    const grpc::Status status = Take();
    chunk_taken.MaybeDie();
    if (status.ok()) {
      StartRead(&chunk_);
    } else {
      Finish(status);
    }
  });
}

grpc::Status UploadStream::Take() {
  if (!named_) {
    // Another agent lies there until it is asked for: no rollout is concerned.
    if (chunk_.release_version() != node::kAgentUploads) {
      const grpc::Status current = check_(chunk_.authority());
      if (!current.ok()) return current;
    }
    named_ = true;
    sha256_ = chunk_.sha256();
    version_ = chunk_.release_version();
    file_name_ = chunk_.file_name();
  }
  return ToGrpc(transfers_->Append(sha256_, chunk_.offset(), chunk_.data()));
}

grpc::Status UploadStream::Complete() {
  if (!named_) return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "an upload without a first chunk");
  const auto bytes = transfers_->FinishUpload(sha256_, version_, file_name_);
  if (!bytes.ok()) return ToGrpc(bytes.status());
  reply_->set_bytes(*bytes);
  return grpc::Status::OK;
}

void DownloadStream::Begin() {
  pool_->Post([this] {
    const grpc::Status status = Open();
    if (status.ok()) {
      Next();
    } else {
      Finish(status);
    }
  });
}

grpc::Status DownloadStream::Open() {
  if (request_.has_authority()) {
    const grpc::Status current = check_(request_.authority());
    if (!current.ok()) return current;
  }
  const auto path = transfers_->BackupFile(request_.backup_id(), request_.file_name());
  if (!path.ok()) return ToGrpc(path.status());
  const auto size = FileSize(*path);
  if (!size.ok()) return ToGrpc(size.status());
  if (request_.offset() > *size) {
    return grpc::Status(grpc::StatusCode::OUT_OF_RANGE,
                        absl::StrCat(request_.file_name(), " has ", *size, " bytes only"));
  }
  total_ = *size;
  offset_ = request_.offset();
  file_.open(*path, std::ios::binary);
  file_.seekg(static_cast<std::streamoff>(offset_));
  if (!file_) return grpc::Status(grpc::StatusCode::INTERNAL, absl::StrCat(*path, " cannot be read"));
  return grpc::Status::OK;
}

void DownloadStream::Next() {
  // Even of an empty rest the caller learns the whole size.
  if (offset_ == total_ && said_) {
    Finish(grpc::Status::OK);
    return;
  }
  const uint64_t wanted = std::min(kChunk, total_ - offset_);
  std::string& data = *chunk_.mutable_data();
  data.resize(wanted);
  if (wanted > 0 && !file_.read(data.data(), static_cast<std::streamsize>(wanted))) {
    Finish(grpc::Status(grpc::StatusCode::DATA_LOSS, absl::StrCat(request_.file_name(), " became shorter")));
    return;
  }
  chunk_.set_total_bytes(total_);
  offset_ += wanted;
  said_ = true;
  chunk_sending.MaybeDie();
  StartWrite(&chunk_);
}

void DownloadStream::OnWriteDone(bool ok) {
  if (!ok) {
    Finish(grpc::Status::CANCELLED);
    return;
  }
  chunk_sent.MaybeDie();
  pool_->Post([this] { Next(); });
}

}  // namespace k3saga::service
