#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga {

// Files that survive a power cut. "Durable" means: after ok() the new content is there whatever happens;
// before, the old one is, whole. Every error names the path and the system's word for it; a missing file is
// kNotFound, a full disk kResourceExhausted. Thread-safe; two writers of one path leave one of the two
// contents.

constexpr uint64_t kDefaultReadCap = 16ull << 20;

// The whole file; kOutOfRange when it is larger than `cap`.
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t cap = kDefaultReadCap);

bool Exists(const std::string& path);       // follows symlinks
bool IsDirectory(const std::string& path);  // follows symlinks
bool IsExecutableFile(const std::string& path);

struct WriteOptions {
  mode_t mode = 0600;
  // Where the path exists already its mode and owner win over `mode` (a configuration file stays whose it
  // was).
  bool keep_mode_and_owner = false;
};

// Durable: temporary file beside it, fsync, rename, fsync of the folder. A symlink at `path` is replaced, not
// followed.
absl::Status WriteFileDurably(const std::string& path, std::string_view content,
                              const WriteOptions& options = {});

// Whether a copy may be the same file under a second name, where both lie on one file system: nothing is
// written then, which for a binary on an SD card is seconds. Only for files that are replaced as a whole and
// never written to; mode and owner are one too.
enum class Sharing { kNever, kAllowed };

// Durable copy with mode, owner and SELinux label of `from`; `to` appears whole or not at all.
absl::Status CopyFileDurably(const std::string& from, const std::string& to,
                             Sharing sharing = Sharing::kNever);

// Durable copy of `from`'s content into the place of `to`, atomically; `to` keeps its owner and SELinux label
// and gets `mode`. What runs from the old file goes on running.
absl::Status ReplaceFileDurably(const std::string& from, const std::string& to, mode_t mode,
                                Sharing sharing = Sharing::kNever);

// Makes `path` a link to `target`, atomically and durably, in the place of whatever file or link was there.
absl::Status WriteLinkDurably(const std::string& path, const std::string& target);

// Durable rename on one file system.
absl::Status RenameDurably(const std::string& from, const std::string& to);

// Removing what is not there is fine.
absl::Status RemoveFileDurably(const std::string& path);
// Never follows a symlink out of the tree.
absl::Status RemoveTree(const std::string& path);

absl::Status MakeDirectories(const std::string& path, mode_t mode = 0700);
absl::Status SyncDirectory(const std::string& path);

// Names (not paths) of what a folder holds, sorted; kNotFound when it is missing.
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);

// Lower-case hex.
absl::StatusOr<std::string> Sha256OfFile(const std::string& path);
// Of its first `bytes`; kOutOfRange when it is shorter.
absl::StatusOr<std::string> Sha256OfPrefix(const std::string& path, uint64_t bytes);
// Its last `bytes`, or all of a shorter one.
absl::StatusOr<std::string> ReadTail(const std::string& path, uint64_t bytes);
std::string Sha256Of(std::string_view data);

absl::StatusOr<uint64_t> FileSize(const std::string& path);

// Bytes that an unprivileged writer may still use on the file system of `path`, or of its nearest existing
// parent.
absl::StatusOr<uint64_t> FreeBytes(const std::string& path);

// "/a" + "b" = "/a/b"; an absolute `name` is taken below `folder` as well (that is what a root prefix means).
std::string JoinPath(std::string_view folder, std::string_view name);
std::string BaseName(std::string_view path);
std::string DirName(std::string_view path);

}  // namespace k3saga
