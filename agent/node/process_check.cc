#include "agent/node/process_check.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "common/host/files.h"
#include "common/host/process.h"
#include "common/status_macros.h"

namespace k3saga::node {
namespace {

constexpr std::chrono::milliseconds kVersionDeadline{20'000};  // a cold 60 MB file on a slow disk
constexpr size_t kMostRemembered = 64;
constexpr char kDeleted[] = " (deleted)";
// Fields of /proc/PID/stat after the process's name (which may hold anything): state is the 3rd, start time
// the 22nd.
constexpr size_t kStartTimeField = 22 - 3;

}  // namespace

std::string ParseVersionOutput(std::string_view output) {
  constexpr std::string_view kIntroduction = " version ";
  for (absl::string_view line : absl::StrSplit(absl::string_view(output.data(), output.size()), '\n')) {
    const size_t at = line.find(absl::string_view(kIntroduction.data(), kIntroduction.size()));
    // k3s says the name that it was called by: asked through /proc/PID/exe, that is "exe".
    if (at == absl::string_view::npos || !(absl::StartsWith(line, "k3s") || absl::StartsWith(line, "exe ")))
      continue;
    const absl::string_view rest = line.substr(at + kIntroduction.size());
    return std::string(rest.substr(0, rest.find(' ')));
  }
  return "";
}

ProcessInspector::ProcessInspector(HostPaths paths) : paths_(std::move(paths)) {}

absl::StatusOr<uint64_t> ProcessInspector::StartTicks(uint32_t pid) const {
  K3SAGA_ASSIGN_OR_RETURN(const std::string stat,
                          ReadFile(absl::StrCat(paths_.proc, "/", pid, "/stat"), 16384));
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos)
    return absl::InternalError(absl::StrCat("/proc/", pid, "/stat is malformed"));
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 1), ' ', absl::SkipEmpty());
  uint64_t ticks = 0;
  if (fields.size() <= kStartTimeField || !absl::SimpleAtoi(fields[kStartTimeField], &ticks)) {
    return absl::InternalError(absl::StrCat("/proc/", pid, "/stat is malformed"));
  }
  return ticks;
}

absl::StatusOr<RunningProcess> ProcessInspector::Inspect(uint32_t pid) {
  RunningProcess process;
  process.pid = pid;
  K3SAGA_ASSIGN_OR_RETURN(process.start_ticks, StartTicks(pid));
  const std::string link = absl::StrCat(paths_.proc, "/", pid, "/exe");
  char target[PATH_MAX];
  const ssize_t size = readlink(link.c_str(), target, sizeof(target));
  if (size < 0) {
    const std::string message = absl::StrCat("cannot read ", link, ": ", std::strerror(errno));
    return errno == ENOENT || errno == ESRCH ? absl::NotFoundError(message) : absl::InternalError(message);
  }
  process.executable.assign(target, static_cast<size_t>(size));
  process.deleted = absl::EndsWith(process.executable, kDeleted);
  if (process.deleted) process.executable.resize(process.executable.size() - std::strlen(kDeleted));
  // Through the link, which leads to the running file even after another one took its name.
  if (auto version = VersionOfFile(link); version.ok()) process.version = *version;
  // The pid may have gone to another process between the reads.
  K3SAGA_ASSIGN_OR_RETURN(const uint64_t ticks, StartTicks(pid));
  if (ticks != process.start_ticks) return absl::NotFoundError(absl::StrCat("process ", pid, " ended"));
  return process;
}

absl::StatusOr<ProcessInspector::FileKey> ProcessInspector::KeyOf(const std::string& path) const {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat("cannot stat ", path, ": ", std::strerror(errno)));
  }
  auto nanoseconds = [](const timespec& time) { return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec; };
  return FileKey{info.st_dev, info.st_ino, static_cast<uint64_t>(info.st_size), nanoseconds(info.st_mtim),
                 nanoseconds(info.st_ctim)};
}

absl::StatusOr<std::string> ProcessInspector::VersionOfFile(const std::string& path) {
  K3SAGA_ASSIGN_OR_RETURN(const FileKey key, KeyOf(path));
  {
    std::lock_guard lock(mutex_);
    auto known = versions_.find(key);
    if (known != versions_.end()) return known->second;
  }
  auto result =
      Run({.argv = {path, "--version"}, .environment = PlainEnvironment(), .deadline = kVersionDeadline});
  const std::string version = result.ok() && result->ok() ? ParseVersionOutput(result->out) : "";
  if (version.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " does not say which k3s it is (",
                     result.ok() ? result->Describe() : std::string(result.status().message()), ")"));
  }
  std::lock_guard lock(mutex_);
  if (versions_.size() >= kMostRemembered) versions_.clear();
  versions_[key] = version;
  return version;
}

bool ProcessInspector::IsRunning(const RunningProcess& process, const std::string& file) {
  if (process.pid == 0) return false;
  auto running = KeyOf(absl::StrCat(paths_.proc, "/", process.pid, "/exe"));
  auto on_disk = KeyOf(file);
  if (!on_disk.ok()) return false;
  if (running.ok() && running->device == on_disk->device && running->inode == on_disk->inode) return true;
  // Not k3s's own unpacked copy: then another inode is another file, be the version what it may.
  if (!absl::StrContains(process.executable, "/data/")) return false;
  auto version = VersionOfFile(file);
  return version.ok() && !process.version.empty() && *version == process.version;
}

}  // namespace k3saga::node
