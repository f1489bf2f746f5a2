#include "common/tls/identity.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/status_macros.h"

namespace k3saga::tls {
namespace {

constexpr size_t kLargestFile = 1 << 20;
constexpr mode_t kForOthers = S_IRWXG | S_IRWXO;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::Status FileError(const std::string& path, std::string_view doing) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat(path, ": ", std::string(doing)));
}

// With `secret`, the mode is checked on the open file, not on a name that may mean another file a moment
// later.
absl::StatusOr<std::string> ReadFile(const std::string& path, bool secret) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return FileError(path, "cannot be opened");
  struct stat about {};
  if (fstat(fd.get(), &about) != 0) return FileError(path, "cannot be examined");
  if (!S_ISREG(about.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not a regular file"));
  if (secret && (about.st_mode & kForOthers) != 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s: a private key that others may use (mode %04o); run: chmod 600 %s", path,
                        about.st_mode & 07777, path));
  }
  std::string contents;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(path, "cannot be read");
    if (got == 0) return contents;
    contents.append(buffer, static_cast<size_t>(got));
    if (contents.size() > kLargestFile) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": is too large for a certificate or key"));
    }
  }
}

absl::Status WriteNewFile(const std::string& path, std::string_view contents, mode_t mode) {
  FileDescriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (fd.get() < 0) {
    if (errno == EEXIST)
      return absl::AlreadyExistsError(absl::StrCat(path, ": is there already; not overwritten"));
    return FileError(path, "cannot be created");
  }
  while (!contents.empty()) {
    const ssize_t put = write(fd.get(), contents.data(), contents.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return FileError(path, "cannot be written");
    contents.remove_prefix(static_cast<size_t>(put));
  }
  if (fsync(fd.get()) != 0) return FileError(path, "cannot be made durable");
  return absl::OkStatus();
}

absl::Status About(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace

absl::StatusOr<Identity> LoadIdentity(const IdentityFiles& files, int64_t now_unix) {
  Identity identity;
  K3SAGA_ASSIGN_OR_RETURN(identity.ca_pem, ReadFile(files.ca, false));
  K3SAGA_ASSIGN_OR_RETURN(identity.certificate_pem, ReadFile(files.certificate, false));
  K3SAGA_ASSIGN_OR_RETURN(identity.key_pem, ReadFile(files.key, true));
  auto status = CheckCertificate(identity.ca_pem, identity.certificate_pem, identity.key_pem, now_unix);
  if (!status.ok()) {
    return About(absl::StrCat(files.certificate, " (key ", files.key, ", authority ", files.ca, ")"), status);
  }
  auto self = PeerOfCertificate(identity.certificate_pem);
  if (!self.ok()) return About(files.certificate, self.status());
  identity.self = *self;
  K3SAGA_ASSIGN_OR_RETURN(CertificateFacts facts, FactsOfCertificate(identity.certificate_pem));
  identity.not_after_unix = facts.not_after_unix;
  return identity;
}

absl::StatusOr<CertificateAndKey> LoadAuthority(const std::string& certificate_file,
                                                const std::string& key_file) {
  CertificateAndKey authority;
  K3SAGA_ASSIGN_OR_RETURN(authority.certificate_pem, ReadFile(certificate_file, false));
  K3SAGA_ASSIGN_OR_RETURN(authority.key_pem, ReadFile(key_file, true));
  return authority;
}

absl::Status WriteCertificateAndKey(const CertificateAndKey& pair, const std::string& certificate_file,
                                    const std::string& key_file) {
  // The key first: a key without its certificate is noticed, a certificate without its key misleads.
  K3SAGA_RETURN_IF_ERROR(WriteNewFile(key_file, pair.key_pem, 0600));
  return WriteCertificate(pair.certificate_pem, certificate_file);
}

absl::Status WriteCertificate(const std::string& certificate_pem, const std::string& file) {
  return WriteNewFile(file, certificate_pem, 0644);
}

}  // namespace k3saga::tls
