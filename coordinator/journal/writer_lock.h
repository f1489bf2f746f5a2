#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace k3saga::journal {

// Who has, or last had, the right to write a journal.
struct Holder {
  std::string who;  // "user@host:pid", as the rollout's events name it
  int pid = 0;
  std::string host;
  int64_t since_unix_ms = 0;
  std::string socket;  // where the running rollout listens (control room); "" when it does not
  bool alive = false;  // holds the lock now
};

// "ann@laptop:4711 (pid 4711 on laptop), since 2026-01-31 14:25:07 UTC"
std::string Describe(const Holder& holder);

// This process: user, host, pid, now.
Holder ThisProcess();

// The right to write: an flock on a file beside the journal. The kernel takes it back when the process ends,
// however it ends; what the file says stays, so that readers can tell who it was.
class WriterLock {
 public:
  // kFailedPrecondition names the process that holds it (typed reason CLUSTER_HELD). Waits a moment, since a
  // reader's look (WhoWrites) takes the lock for an instant.
  static absl::StatusOr<WriterLock> Take(std::string_view path, const Holder& me);
  // Who holds it, or held it last; nullopt when nobody ever did. Never waits, never disturbs the holder.
  static absl::StatusOr<std::optional<Holder>> WhoWrites(std::string_view path);

  WriterLock(WriterLock&& other) noexcept;
  WriterLock& operator=(WriterLock&& other) noexcept;
  ~WriterLock();

  // Tells other processes where the running rollout listens.
  absl::Status Announce(std::string_view socket);

 private:
  WriterLock(int fd, Holder holder);

  int fd_ = -1;
  Holder holder_;
};

}  // namespace k3saga::journal
