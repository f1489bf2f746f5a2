#include "coordinator/fleet/grpc_transfer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/host/crash_point.h"
#include "common/host/files.h"

namespace k3saga::fleet {
namespace {

CrashPoint kBeforeChunk("fleet.upload.before_chunk_sent");
CrashPoint kAfterChunk("fleet.upload.after_chunk_sent");
CrashPoint kUploadAnswered("fleet.upload.answer_received");
CrashPoint kChunkReceived("fleet.download.chunk_received");
CrashPoint kChunkWritten("fleet.download.chunk_written");

absl::Status FileError(const std::string& path, const char* doing, int error) {
  const std::string what = absl::StrCat(path, ": ", doing, ": ", std::strerror(error));
  return error == ENOSPC || error == EDQUOT ? absl::ResourceExhaustedError(what) : absl::InternalError(what);
}

}  // namespace

UploadCall::UploadCall(std::shared_ptr<CallRegistry> registry, std::string node, UploadFile file, UniqueFd fd,
                       Transferred moved, Done<v1::UploadReply> done)
    : GrpcCall(std::move(registry), std::move(node)),
      file_(std::move(file)),
      fd_(std::move(fd)),
      moved_(std::move(moved)),
      done_(std::move(done)) {}

void UploadCall::Start(v1::Agent::Stub& stub, const v1::Authority& authority, uint64_t offset,
                       std::chrono::milliseconds timeout) {
  SetTimeout(timeout);
  offset_ = offset;
  *chunk_.mutable_authority() = authority;
  chunk_.set_sha256(file_.sha256);
  chunk_.set_release_version(file_.release_version);
  chunk_.set_file_name(file_.file_name);
  stub.async()->Upload(&context_, &reply_, this);
  SendNext();
  StartCall();
}

void UploadCall::SendNext() {
  const size_t want = static_cast<size_t>(std::min<uint64_t>(kChunkBytes, file_.bytes - offset_));
  std::string& data = *chunk_.mutable_data();
  data.resize(want);
  size_t got = 0;
  while (got < want) {
    const ssize_t n = pread(fd_.get(), data.data() + got, want - got, static_cast<off_t>(offset_ + got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      local_error_ =
          n < 0 ? FileError(file_.path, "read", errno)
                : absl::DataLossError(absl::StrCat(file_.path, ": became shorter while it was sent"));
      context_.TryCancel();
      // The call still needs a write to end on.
      StartWritesDone();
      return;
    }
    got += static_cast<size_t>(n);
  }
  chunk_.set_offset(offset_);
  offset_ += want;
  kBeforeChunk.MaybeDie();
  grpc::WriteOptions options;
  if (offset_ >= file_.bytes) {
    StartWriteLast(&chunk_, options);
  } else {
    StartWrite(&chunk_, options);
  }
  kAfterChunk.MaybeDie();
}

void UploadCall::OnWriteDone(bool ok) {
  if (!ok) return;  // the end of the call says why
  if (moved_) PostIfHeard([this, sent = offset_] { moved_(sent, file_.bytes); });
  if (offset_ >= file_.bytes) return;
  chunk_.Clear();  // the head stands in the first chunk only
  SendNext();
}

void UploadCall::OnDone(const grpc::Status& status) {
  kUploadAnswered.MaybeDie();
  PostLast([this, status] {
    absl::Status error = local_error_.ok() ? StatusOf(status, node()) : local_error_;
    if (error.ok() && reply_.bytes() != file_.bytes) {
      error = absl::DataLossError(absl::StrCat("agent of ", node(), " has ", reply_.bytes(), " of ",
                                               file_.bytes, " bytes of ", file_.file_name));
    }
    if (error.ok()) {
      done_(reply_);
    } else {
      done_(std::move(error));
    }
  });
}

DownloadCall::DownloadCall(std::shared_ptr<CallRegistry> registry, std::string node, std::string path,
                           UniqueFd part, Transferred moved, Done<uint64_t> done)
    : GrpcCall(std::move(registry), std::move(node)),
      path_(std::move(path)),
      part_(std::move(part)),
      moved_(std::move(moved)),
      done_(std::move(done)) {}

void DownloadCall::Start(v1::Agent::Stub& stub, const v1::DownloadRequest& request,
                         std::chrono::milliseconds timeout) {
  SetTimeout(timeout);
  request_ = request;
  offset_ = request.offset();
  stub.async()->Download(&context_, &request_, this);
  StartRead(&chunk_);
  StartCall();
}

void DownloadCall::OnReadDone(bool ok) {
  if (!ok) return;
  kChunkReceived.MaybeDie();
  total_ = std::max<uint64_t>(total_, chunk_.total_bytes());
  const std::string& data = chunk_.data();
  for (size_t put = 0; put < data.size();) {
    const ssize_t n =
        pwrite(part_.get(), data.data() + put, data.size() - put, static_cast<off_t>(offset_ + put));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      local_error_ = FileError(path_, "write", errno);
      context_.TryCancel();
      return;
    }
    put += static_cast<size_t>(n);
  }
  kChunkWritten.MaybeDie();
  offset_ += data.size();
  if (moved_) PostIfHeard([this, got = offset_, total = total_] { moved_(got, total); });
  StartRead(&chunk_);
}

absl::Status DownloadCall::Settle() {
  if (offset_ < total_) {
    return absl::UnavailableError(
        absl::StrCat("agent of ", node(), ": ended after ", offset_, " of ", total_, " bytes"));
  }
  if (fsync(part_.get()) != 0) return FileError(path_, "fsync", errno);
  return RenameDurably(absl::StrCat(path_, ".part"), path_);
}

void DownloadCall::OnDone(const grpc::Status& status) {
  absl::Status error = local_error_.ok() ? StatusOf(status, node()) : local_error_;
  if (error.ok()) error = Settle();
  PostLast([this, error] {
    if (error.ok()) {
      done_(offset_);
    } else {
      done_(error);
    }
  });
}

}  // namespace k3saga::fleet
