#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "agent/node/host_paths.h"

namespace k3saga::node {

// A process as the kernel shows it. k3s executes <data-dir>/data/HASH/bin/k3s in its own place, so
// `executable` is rarely the file that the unit names.
struct RunningProcess {
  uint32_t pid = 0;          // 0: not running
  uint64_t start_ticks = 0;  // with the pid: the identity of the process
  std::string executable;    // what /proc/PID/exe points to, without " (deleted)"
  bool deleted = false;      // that file was replaced or removed since
  std::string version;       // what the running executable says it is; "" when it says nothing
};

// Believes the process, not the file: asks the executable that really runs for its version, through
// /proc/PID/exe, even after its file was replaced. Answers are remembered per inode. Thread-safe.
class ProcessInspector {
 public:
  explicit ProcessInspector(HostPaths paths);

  // kNotFound when there is no such process (any more).
  absl::StatusOr<RunningProcess> Inspect(uint32_t pid);
  absl::StatusOr<uint64_t> StartTicks(uint32_t pid) const;

  // What `FILE --version` prints: "v1.31.4+k3s1". kFailedPrecondition for a file that is no k3s (truncated,
  // wrong machine).
  absl::StatusOr<std::string> VersionOfFile(const std::string& path);

  // Whether the running executable came from this file: the same inode, or (k3s unpacks itself) the same
  // version.
  bool IsRunning(const RunningProcess& process, const std::string& file);

 private:
  struct FileKey {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns;
    auto operator<=>(const FileKey&) const = default;
  };
  absl::StatusOr<FileKey> KeyOf(const std::string& path) const;

  const HostPaths paths_;
  std::mutex mutex_;
  std::map<FileKey, std::string> versions_;  // guarded by mutex_; bounded
};

// "k3s version v1.31.4+k3s1 (a562d090)\n..." -> "v1.31.4+k3s1"; "" when it is something else.
std::string ParseVersionOutput(std::string_view output);

}  // namespace k3saga::node
