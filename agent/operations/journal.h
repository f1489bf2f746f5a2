#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/operations/fencing.h"
#include "agent/operations/machine.h"
#include "common/host/clock.h"
#include "common/sqlite/database.h"
#include "k3saga/v1/agent.pb.h"

namespace k3saga::operations {

// "20260131-142507-4f2a/17/1": how an operation is named in logs, units and files of this node.
std::string OperationName(const v1::OperationId& id);

// When the current direction has to be done. Counted on the boot clock; of another boot it says nothing.
struct Deadline {
  std::string boot_id;
  int64_t steady_ms = 0;  // Clock::Steady
};

// An operation as the journal holds it.
struct Entry {
  Record record;
  Deadline deadline;
  v1::Progress progress;  // the last one reported by a process of its own
  bool cancel_requested = false;
  int64_t accepted_unix_ms = 0;
  int64_t settled_unix_ms = 0;
};

struct Accepted {
  Admission admission;
  Entry entry;  // unless refused
};

// What the agent must not forget: who may act (the fence), and every operation with its phase and outcome.
// SQLite in WAL mode, every commit on the disk before it returns (progress excepted). The service and the
// processes of operations that run outside it share the file, each through a Journal of its own. Thread-safe.
//
// A damaged file or one of a newer agent is an error and stays as it is; kResourceExhausted is a full disk.
class Journal {
 public:
  struct Options {
    bool create = true;  // false: the file has to be there
    uint64_t reserve_bytes =
        32ull << 20;       // less free than this: new operations are refused, running ones go on
    uint32_t keep = 5000;  // settled operations remembered at most ...
    int64_t keep_ms = 30ll * 86'400'000;                                     // ... and for how long
    std::function<absl::StatusOr<uint64_t>(const std::string&)> free_bytes;  // default: FreeBytes
  };

  // `clock` must outlive the journal.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& path, const Options& options,
                                                       const Clock* clock);

  // Made once with the file: another id means that the journal was lost.
  const std::string& id() const { return id_; }

  absl::StatusOr<Fence> ReadFence();
  // The serialized RolloutCreated of the claim that is held; "" without.
  absl::StatusOr<std::string> ReadAdoption();

  // Admits, and makes durable what that means: the operation, the fence, an attached operation's new
  // authority. A refusal changes nothing.
  absl::StatusOr<Accepted> Accept(const v1::RunRequest& request);

  absl::StatusOr<std::optional<Entry>> Find(const v1::OperationId& id);
  absl::StatusOr<std::vector<Entry>> List(uint32_t limit);  // newest first
  absl::StatusOr<std::vector<Entry>> Unsettled();           // oldest first

  // The record's phase, starts, notes and outcome. Authority and cancellation are others' to write.
  absl::Status Save(const Record& record, const Deadline& deadline);
  // False: no such operation, or it is settled.
  absl::StatusOr<bool> RequestCancel(const v1::OperationId& id);
  // Not durable, and no reason to fail anything.
  absl::Status ReportProgress(const v1::OperationId& id, const v1::Progress& progress);

  // Changes when another process has committed; cheap.
  absl::StatusOr<int64_t> DataVersion();

  // Forgets settled operations beyond what Options keep, never of the rollout that holds the node. What was
  // forgotten is below the floor from then on. Returns how many.
  absl::StatusOr<uint32_t> Prune();

 private:
  Journal(sqlite::Database database, Options options, const Clock* clock);

  // All need mutex_.
  absl::StatusOr<Fence> LoadFence();
  absl::Status StoreFence(const Fence& fence);
  absl::StatusOr<JournalView> LoadView(const v1::OperationId& id);
  absl::StatusOr<std::vector<Entry>> LoadEntries(std::string_view where_and_order, const v1::OperationId* id,
                                                 int64_t limit);
  absl::Status Insert(const Entry& entry);
  absl::Status CheckRoom();

  const Options options_;
  const Clock* const clock_;
  std::string id_;
  std::mutex mutex_;
  sqlite::Database database_;  // mutex_
};

}  // namespace k3saga::operations
