#include "agent/node/uploads.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/host/files.h"
#include "common/host/unique_fd.h"
#include "common/status_macros.h"
#include "common/version.h"

namespace k3saga::node {
namespace {

constexpr uint64_t kReserve = 64ull << 20;
constexpr char kInstallerFolder[] = "installer";
constexpr char kBackupManifest[] = "manifest.json";

absl::Status CheckHash(std::string_view sha256) {
  if (sha256.size() == 64 && sha256.find_first_not_of("0123456789abcdef") == std::string_view::npos) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("a pushed file is named by its SHA-256 in lower-case hex");
}

absl::Status CheckFileName(std::string_view name) {
  const bool plain =
      !name.empty() && name.front() != '.' && name.size() < 128 &&
      name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
          std::string_view::npos;
  return plain ? absl::OkStatus()
               : absl::InvalidArgumentError(absl::StrCat("'", std::string(name), "' is no plain file name"));
}

// The folder that pushed files of one release end up in.
absl::StatusOr<std::string> FolderOf(const StatePaths& state, std::string_view version) {
  if (version.empty()) return JoinPath(state.Uploads(), kInstallerFolder);
  if (version == kAgentUploads) return JoinPath(state.Uploads(), kAgentUploads);
  if (IsBackupUpload(version)) {
    const std::string_view id = version.substr(kBackupUploads.size());
    K3SAGA_RETURN_IF_ERROR(CheckFileName(id));
    return JoinPath(state.Backups(), id);
  }
  K3SAGA_ASSIGN_OR_RETURN(const Version parsed, Version::Parse(version));
  return JoinPath(state.Uploads(), parsed.ToString());
}

}  // namespace

bool IsBackupUpload(std::string_view version) {
  return version.substr(0, kBackupUploads.size()) == kBackupUploads;
}

UploadStore::UploadStore(StatePaths state) : state_(std::move(state)) {}

absl::StatusOr<UploadStore::Begun> UploadStore::Begin(std::string_view sha256, uint64_t bytes) {
  K3SAGA_RETURN_IF_ERROR(CheckHash(sha256));
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(state_.Uploads()));
  const std::string path = JoinPath(state_.Uploads(), sha256);
  Begun begun;
  if (auto size = FileSize(path); size.ok()) begun.offset = std::min(*size, bytes);
  begun.complete = begun.offset == bytes && bytes > 0;
  K3SAGA_ASSIGN_OR_RETURN(const uint64_t free, FreeBytes(state_.Uploads()));
  if (free < bytes - begun.offset + kReserve) {
    return absl::ResourceExhaustedError(absl::StrCat(state_.Uploads(), " has ", free >> 20, " MiB free, ",
                                                     (bytes - begun.offset) >> 20,
                                                     " MiB and a reserve are needed"));
  }
  return begun;
}

absl::Status UploadStore::Append(std::string_view sha256, uint64_t offset, std::string_view data) {
  K3SAGA_RETURN_IF_ERROR(CheckHash(sha256));
  const std::string path = JoinPath(state_.Uploads(), sha256);
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return absl::InternalError(absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  const uint64_t have = static_cast<uint64_t>(std::max<off_t>(lseek(fd.get(), 0, SEEK_END), 0));
  if (offset > have) {
    return absl::OutOfRangeError(
        absl::StrCat("a hole: ", have, " bytes are here, the next ones start at ", offset));
  }
  if (have - offset >= data.size()) return absl::OkStatus();
  data.remove_prefix(have - offset);
  while (!data.empty()) {
    const ssize_t n = write(fd.get(), data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const std::string message = absl::StrCat("cannot write ", path, ": ", std::strerror(errno));
      return errno == ENOSPC ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
    }
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> UploadStore::Finish(std::string_view sha256, std::string_view version,
                                             std::string_view file_name) {
  K3SAGA_RETURN_IF_ERROR(CheckHash(sha256));
  K3SAGA_RETURN_IF_ERROR(CheckFileName(file_name));
  K3SAGA_ASSIGN_OR_RETURN(const std::string folder, FolderOf(state_, version));
  const std::string incoming = JoinPath(state_.Uploads(), sha256);
  const std::string path = JoinPath(folder, file_name);
  // Pushed again although it had its name already.
  if (!Exists(incoming)) {
    K3SAGA_ASSIGN_OR_RETURN(const std::string have, Sha256OfFile(path));
    if (have == sha256) return FileSize(path);
    return absl::NotFoundError(absl::StrCat("nothing with SHA-256 ", std::string(sha256), " was pushed"));
  }
  K3SAGA_ASSIGN_OR_RETURN(const std::string got, Sha256OfFile(incoming));
  if (got != sha256) {
    K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(incoming));
    return absl::DataLossError(absl::StrCat(std::string(file_name), " arrived damaged (SHA-256 ",
                                            got.substr(0, 12), "...): it was thrown away, push it again"));
  }
  UniqueFd fd(open(incoming.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return absl::InternalError(absl::StrCat("cannot sync ", incoming));
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder));
  if (IsBackupUpload(version)) K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(JoinPath(folder, kBackupManifest)));
  K3SAGA_RETURN_IF_ERROR(RenameDurably(incoming, path));
  return FileSize(path);
}

absl::StatusOr<std::string> UploadStore::Find(std::string_view version, std::string_view file_name) const {
  K3SAGA_RETURN_IF_ERROR(CheckFileName(file_name));
  K3SAGA_ASSIGN_OR_RETURN(const std::string folder, FolderOf(state_, version));
  std::string path = JoinPath(folder, file_name);
  if (!Exists(path))
    return absl::NotFoundError(absl::StrCat("the coordinator pushed no ", std::string(file_name)));
  return path;
}

absl::Status UploadStore::Drop(std::string_view version) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string folder, FolderOf(state_, version));
  return RemoveTree(folder);
}

}  // namespace k3saga::node
