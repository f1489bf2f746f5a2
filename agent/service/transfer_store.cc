#include "agent/service/transfer_store.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/status_macros.h"

namespace k3saga::service {
namespace {

// A coordinator pushes a handful of files.
constexpr size_t kMostRemembered = 64;

}  // namespace

absl::StatusOr<v1::BeginUploadReply> TransferStore::BeginUpload(std::string_view sha256, uint64_t bytes) {
  v1::BeginUploadReply reply;
  const std::lock_guard lock(mutex_);
  // Complete means that it stands under its name; a file that only has all its bytes still has to be
  // finished.
  const auto named = named_.find(sha256);
  if (named != named_.end() && uploads_.Find(named->second.version, named->second.file_name).ok()) {
    reply.set_offset(bytes);
    reply.set_complete(true);
    return reply;
  }
  K3SAGA_ASSIGN_OR_RETURN(const node::UploadStore::Begun begun, uploads_.Begin(sha256, bytes));
  if (incoming_.size() >= kMostRemembered) incoming_.clear();  // forgotten ones are announced again
  incoming_[std::string(sha256)] = {bytes, begun.offset};
  reply.set_offset(begun.offset);
  return reply;
}

absl::Status TransferStore::Append(std::string_view sha256, uint64_t offset, std::string_view data) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = incoming_.find(sha256);
    // This agent restarted since.
    if (found == incoming_.end()) return absl::AbortedError("an upload that was not announced; begin again");
    if (offset + data.size() > found->second.announced) {
      return absl::OutOfRangeError(
          absl::StrCat("more than the ", found->second.announced, " bytes that were announced"));
    }
  }
  K3SAGA_RETURN_IF_ERROR(uploads_.Append(sha256, offset, data));
  const std::lock_guard lock(mutex_);
  const auto found = incoming_.find(sha256);
  if (found != incoming_.end()) found->second.here = std::max(found->second.here, offset + data.size());
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> TransferStore::FinishUpload(std::string_view sha256, std::string_view version,
                                                     std::string_view file_name) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = incoming_.find(sha256);
    if (found != incoming_.end() && found->second.here < found->second.announced) {
      return absl::UnavailableError(
          absl::StrCat(found->second.here, " of ", found->second.announced, " bytes came; go on from there"));
    }
  }
  K3SAGA_ASSIGN_OR_RETURN(const uint64_t bytes, uploads_.Finish(sha256, version, file_name));
  const std::lock_guard lock(mutex_);
  const auto found = incoming_.find(sha256);
  if (found != incoming_.end()) incoming_.erase(found);
  // Two backups may well have a file in common (the token): each gets its own.
  if (node::IsBackupUpload(version)) return bytes;
  if (named_.size() >= kMostRemembered) named_.clear();
  named_[std::string(sha256)] = {std::string(version), std::string(file_name)};
  return bytes;
}

absl::StatusOr<std::string> TransferStore::BackupFile(std::string_view backup_id,
                                                      std::string_view file_name) {
  return backups_.FilePath(backup_id, file_name);
}

absl::StatusOr<v1::VerifyBackupReply> TransferStore::VerifyBackup(std::string_view backup_id) {
  v1::VerifyBackupReply reply;
  auto described = backups_.Describe(backup_id);
  const absl::Status read = described.ok() ? backups_.Find(backup_id).status() : described.status();
  if (absl::IsNotFound(read) || absl::IsInvalidArgument(read)) return read;
  reply.set_sound(read.ok());
  if (described.ok()) *reply.mutable_backup() = *std::move(described);
  if (!read.ok()) reply.set_problem(std::string(read.message()));
  return reply;
}

}  // namespace k3saga::service
