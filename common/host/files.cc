#include "common/host/files.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "common/host/unique_fd.h"
#include "common/status_macros.h"

namespace k3saga {
namespace {

constexpr size_t kChunk = 128 * 1024;
constexpr char kSelinuxLabel[] = "security.selinux";

absl::Status FileError(std::string_view what, const std::string& path, int error) {
  const std::string message = absl::StrCat(std::string(what), " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::StatusOr<UniqueFd> Open(const std::string& path, int flags, mode_t mode = 0) {
  UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd.valid()) return FileError("cannot open", path, errno);
  return fd;
}

absl::Status WriteAll(int fd, std::string_view data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t n = write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("cannot write", path, errno);
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

// Calls `each` with every chunk of the file.
template <typename Each>
absl::Status ForEachChunk(int fd, const std::string& path, Each each) {
  std::string buffer(kChunk, '\0');
  while (true) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("cannot read", path, errno);
    if (n == 0) return absl::OkStatus();
    K3SAGA_RETURN_IF_ERROR(each(std::string_view(buffer.data(), static_cast<size_t>(n))));
  }
}

// A new file beside `path` that becomes `path` on Commit and vanishes otherwise.
class TemporaryFile {
 public:
  static absl::StatusOr<TemporaryFile> Create(const std::string& path) {
    std::string name = NameBeside(path);
    K3SAGA_ASSIGN_OR_RETURN(UniqueFd fd, Open(name, O_WRONLY | O_CREAT | O_EXCL, 0600));
    return TemporaryFile(path, std::move(name), std::move(fd));
  }
  // With the content of `from`: a copy, or the same file under another name where that may and can be.
  static absl::StatusOr<TemporaryFile> CreateFrom(const UniqueFd& source, const std::string& from,
                                                  const std::string& path, Sharing sharing) {
    std::string name = NameBeside(path);
    if (sharing == Sharing::kAllowed &&
        linkat(AT_FDCWD, from.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      K3SAGA_ASSIGN_OR_RETURN(UniqueFd fd, Open(name, O_RDONLY));
      return TemporaryFile(path, std::move(name), std::move(fd));
    }
    K3SAGA_ASSIGN_OR_RETURN(TemporaryFile file, Create(path));
    K3SAGA_RETURN_IF_ERROR(ForEachChunk(
        source.get(), from, [&](std::string_view chunk) { return WriteAll(file.fd(), chunk, file.name()); }));
    return file;
  }
  TemporaryFile(TemporaryFile&& other) noexcept
      : path_(std::move(other.path_)), name_(std::exchange(other.name_, "")), fd_(std::move(other.fd_)) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    if (!name_.empty()) unlink(name_.c_str());
  }

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }

  absl::Status SetModeAndOwner(mode_t mode, std::optional<std::pair<uid_t, gid_t>> owner) {
    // The owner only root can change; chown before chmod, because it clears set-id bits.
    if (owner && (geteuid() == 0) && fchown(fd_.get(), owner->first, owner->second) != 0) {
      return FileError("cannot set the owner of", name_, errno);
    }
    if (fchmod(fd_.get(), mode & 07777) != 0) return FileError("cannot set the mode of", name_, errno);
    return absl::OkStatus();
  }

  absl::Status Commit() {
    if (fsync(fd_.get()) != 0) return FileError("cannot sync", name_, errno);
    if (rename(name_.c_str(), path_.c_str()) != 0) return FileError("cannot rename to", path_, errno);
    name_.clear();
    return SyncDirectory(DirName(path_));
  }

 private:
  static std::string NameBeside(const std::string& path) {
    static std::atomic<uint64_t> counter{0};
    std::string name =
        absl::StrCat(DirName(path), "/.", BaseName(path), ".", getpid(), ".", counter++, ".tmp");
    // A leftover of a process of the same pid that died: nobody else can be writing it.
    unlink(name.c_str());
    return name;
  }
  TemporaryFile(std::string path, std::string name, UniqueFd fd)
      : path_(std::move(path)), name_(std::move(name)), fd_(std::move(fd)) {}

  std::string path_;
  std::string name_;
  UniqueFd fd_;
};

// Without its label a binary would not run under SELinux. Where there is none there is nothing to copy.
void CopySelinuxLabel(int from, int to) {
  char label[512];
  const ssize_t n = fgetxattr(from, kSelinuxLabel, label, sizeof(label));
  if (n > 0) (void)fsetxattr(to, kSelinuxLabel, label, static_cast<size_t>(n), 0);
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256() { EVP_MD_CTX_free(context_); }

  void Add(std::string_view data) { EVP_DigestUpdate(context_, data.data(), data.size()); }
  std::string Hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_, digest, &size);
    return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
  }

 private:
  EVP_MD_CTX* context_;
};

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t cap) {
  K3SAGA_ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_RDONLY));
  std::string content;
  K3SAGA_RETURN_IF_ERROR(ForEachChunk(fd.get(), path, [&](std::string_view chunk) -> absl::Status {
    if (content.size() + chunk.size() > cap) {
      return absl::OutOfRangeError(
          absl::StrCat(path, " is larger than the ", cap, " bytes expected at most"));
    }
    content.append(chunk);
    return absl::OkStatus();
  }));
  return content;
}

bool Exists(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0;
}

bool IsDirectory(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool IsExecutableFile(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 0111) != 0;
}

absl::Status WriteFileDurably(const std::string& path, std::string_view content,
                              const WriteOptions& options) {
  mode_t mode = options.mode;
  std::optional<std::pair<uid_t, gid_t>> owner;
  struct stat info {};
  if (options.keep_mode_and_owner && stat(path.c_str(), &info) == 0) {
    mode = info.st_mode;
    owner = {info.st_uid, info.st_gid};
  }
  K3SAGA_ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::Create(path));
  K3SAGA_RETURN_IF_ERROR(WriteAll(file.fd(), content, file.name()));
  K3SAGA_RETURN_IF_ERROR(file.SetModeAndOwner(mode, owner));
  return file.Commit();
}

absl::Status CopyFileDurably(const std::string& from, const std::string& to, Sharing sharing) {
  K3SAGA_ASSIGN_OR_RETURN(UniqueFd source, Open(from, O_RDONLY));
  struct stat info {};
  if (fstat(source.get(), &info) != 0) return FileError("cannot stat", from, errno);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(from, " is not a regular file"));
  K3SAGA_ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::CreateFrom(source, from, to, sharing));
  K3SAGA_RETURN_IF_ERROR(file.SetModeAndOwner(info.st_mode, std::pair(info.st_uid, info.st_gid)));
  CopySelinuxLabel(source.get(), file.fd());
  return file.Commit();
}

absl::Status ReplaceFileDurably(const std::string& from, const std::string& to, mode_t mode,
                                Sharing sharing) {
  K3SAGA_ASSIGN_OR_RETURN(UniqueFd source, Open(from, O_RDONLY));
  K3SAGA_ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::CreateFrom(source, from, to, sharing));
  std::optional<std::pair<uid_t, gid_t>> owner;
  UniqueFd old(open(to.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (old.valid() && fstat(old.get(), &info) == 0) owner = {info.st_uid, info.st_gid};
  K3SAGA_RETURN_IF_ERROR(file.SetModeAndOwner(mode, owner));
  if (old.valid()) CopySelinuxLabel(old.get(), file.fd());
  return file.Commit();
}

absl::Status WriteLinkDurably(const std::string& path, const std::string& target) {
  const std::string temporary = absl::StrCat(path, ".k3saga-new");
  unlink(temporary.c_str());
  if (symlink(target.c_str(), temporary.c_str()) != 0) {
    return FileError("cannot create the link", temporary, errno);
  }
  return RenameDurably(temporary, path);
}

absl::Status RenameDurably(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) {
    return FileError(absl::StrCat("cannot rename ", from, " to"), to, errno);
  }
  K3SAGA_RETURN_IF_ERROR(SyncDirectory(DirName(to)));
  return DirName(from) == DirName(to) ? absl::OkStatus() : SyncDirectory(DirName(from));
}

absl::Status RemoveFileDurably(const std::string& path) {
  if (unlink(path.c_str()) != 0) {
    return errno == ENOENT ? absl::OkStatus() : FileError("cannot remove", path, errno);
  }
  return SyncDirectory(DirName(path));
}

absl::Status RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return FileError("cannot remove", path, error.value());
  return absl::OkStatus();
}

absl::Status MakeDirectories(const std::string& path, mode_t mode) {
  if (IsDirectory(path)) return absl::OkStatus();
  const std::string parent = DirName(path);
  if (parent != path) K3SAGA_RETURN_IF_ERROR(MakeDirectories(parent, mode));
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return FileError("cannot create folder", path, errno);
  return SyncDirectory(parent);
}

absl::Status SyncDirectory(const std::string& path) {
  K3SAGA_ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_RDONLY | O_DIRECTORY));
  if (fsync(fd.get()) != 0) return FileError("cannot sync folder", path, errno);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::directory_iterator entries(path, error);
  if (error) return FileError("cannot list", path, error.value());
  std::vector<std::string> names;
  for (; entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    names.push_back(entries->path().filename().string());
    if (error) return FileError("cannot list", path, error.value());
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::string> Sha256OfFile(const std::string& path) {
  K3SAGA_ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_RDONLY));
  Sha256 sha;
  K3SAGA_RETURN_IF_ERROR(ForEachChunk(fd.get(), path, [&](std::string_view chunk) {
    sha.Add(chunk);
    return absl::OkStatus();
  }));
  return sha.Hex();
}

absl::StatusOr<std::string> Sha256OfPrefix(const std::string& path, uint64_t bytes) {
  K3SAGA_ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_RDONLY));
  Sha256 sha;
  K3SAGA_RETURN_IF_ERROR(ForEachChunk(fd.get(), path, [&](std::string_view chunk) {
    chunk = chunk.substr(0, bytes);
    bytes -= chunk.size();
    sha.Add(chunk);
    return absl::OkStatus();
  }));
  if (bytes > 0) return absl::OutOfRangeError(absl::StrCat(path, " is ", bytes, " bytes too short"));
  return sha.Hex();
}

absl::StatusOr<std::string> ReadTail(const std::string& path, uint64_t bytes) {
  K3SAGA_ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_RDONLY));
  const off_t size = lseek(fd.get(), 0, SEEK_END);
  if (size < 0) return FileError("cannot seek in", path, errno);
  const uint64_t from = static_cast<uint64_t>(size) > bytes ? static_cast<uint64_t>(size) - bytes : 0;
  lseek(fd.get(), static_cast<off_t>(from), SEEK_SET);
  std::string tail;
  K3SAGA_RETURN_IF_ERROR(ForEachChunk(fd.get(), path, [&](std::string_view chunk) {
    tail.append(chunk);
    return absl::OkStatus();
  }));
  return tail;
}

std::string Sha256Of(std::string_view data) {
  Sha256 sha;
  sha.Add(data);
  return sha.Hex();
}

absl::StatusOr<uint64_t> FileSize(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return FileError("cannot stat", path, errno);
  return static_cast<uint64_t>(info.st_size);
}

absl::StatusOr<uint64_t> FreeBytes(const std::string& path) {
  std::string existing = path;
  while (!Exists(existing) && existing != "/" && existing != ".") existing = DirName(existing);
  struct statvfs info {};
  if (statvfs(existing.c_str(), &info) != 0)
    return FileError("cannot ask the free space of", existing, errno);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

std::string JoinPath(std::string_view folder, std::string_view name) {
  while (!folder.empty() && folder.back() == '/') folder.remove_suffix(1);
  while (!name.empty() && name.front() == '/') name.remove_prefix(1);
  return std::string(folder) + "/" + std::string(name);
}

std::string BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::string DirName(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

}  // namespace k3saga
