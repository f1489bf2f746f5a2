#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/operations/effects.h"
#include "agent/operations/journal.h"
#include "agent/operations/runner.h"
#include "agent/operations/worker_pool.h"
#include "common/host/clock.h"
#include "common/host/pause.h"

namespace k3saga::operations {

// Hears of one operation. Called from any thread, one call at a time, and must not block or call the
// supervisor.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void OnProgress(const v1::Progress& progress) = 0;
  virtual void OnOutcome(const v1::Outcome& outcome) = 0;
  // Nobody works on it any more although it is not settled (going down, journal not writable). Run attaches
  // again.
  virtual void OnLost(const absl::Status& why) = 0;
};

// Starts operations in processes that outlive the agent (a transient systemd unit each). Thread-safe.
class Launcher {
 public:
  virtual ~Launcher() = default;
  // Returns when the process was started, or runs already. `first`: it was never started before.
  virtual absl::Status Launch(const v1::OperationId& id, bool first) = 0;
  // Whether the process of some operation lives.
  virtual absl::StatusOr<bool> Running() = 0;
};

// Every operation of this agent: accepts them, runs them on threads here or in processes of their own,
// follows those through the journal, tells the watchers, and picks all of it up again after a restart.
// Thread-safe.
class Supervisor {
 public:
  struct Parts {
    Journal* journal = nullptr;
    Effects* effects = nullptr;
    Launcher* launcher = nullptr;
    const Clock* clock = nullptr;
    Pauser* pauser = nullptr;
    std::string boot_id;
    std::function<void(const Fence&)> on_fence;  // a claim was taken, ended, or found at start
    std::function<void(const Record&, std::chrono::milliseconds took)> on_settled;
    size_t most_threads = 128;
    std::chrono::milliseconds follow_every{100};   // other processes' journal entries, while there are any
    std::chrono::milliseconds launch_grace{5000};  // from a launch until its process must be there
  };
  explicit Supervisor(Parts parts);
  ~Supervisor();  // as Shutdown, without a limit
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Goes on with what the journal says is not settled.
  absl::Status Start();

  struct Answer {
    bool known = false;
    std::optional<v1::Reason> refusal;  // then nothing is watched
  };
  // Starts or attaches, and makes that durable; then the watcher hears the last progress and all that
  // follows, until it is gone or has the outcome. kResourceExhausted: the disk is full.
  absl::StatusOr<Answer> Run(const v1::RunRequest& request, const std::shared_ptr<Watcher>& watcher);

  // False: no such operation, or settled. The outcome says whether it could still be cancelled.
  absl::StatusOr<bool> Cancel(const v1::OperationId& id);

  // Nobody works on anything.
  bool Idle();

  // Takes nothing new, stops what runs here (it goes on at the next start; other processes go on by
  // themselves). False: something did not stop in time.
  bool Shutdown(std::chrono::milliseconds patience);

 private:
  // An operation that somebody works on.
  struct Active {
    std::vector<std::weak_ptr<Watcher>> watchers;
    v1::Progress progress;
    std::shared_ptr<OperationRun> run;  // here; null: in a process of its own
    uint32_t launches = 0;              // since its process last got to work
    absl::Status launch_error;          // of the last launch
    uint32_t starts = 0;
    std::optional<std::chrono::milliseconds> launched_at;
  };
  using Name = std::string;

  // With mutex_ held.
  void Activate(const Entry& entry);
  void Tell(Active& active, const v1::Progress& progress);
  void EnsureFollower();

  void RunHere(const Name& name, const std::shared_ptr<OperationRun>& run, int64_t accepted_unix_ms);
  void Settled(const Record& record, int64_t accepted_unix_ms);
  void Lost(const Name& name, const absl::Status& why);

  void Follow(const std::stop_token& stop);
  void LookAtJournal();
  void LookAtProcesses();
  void Relaunch(const Entry& entry);
  void Abandon(const Entry& entry, absl::Status why);
  std::vector<v1::OperationId> Followed();

  const Parts parts_;
  std::mutex mutex_;
  std::map<Name, Active> active_;             // mutex_
  std::map<Name, v1::OperationId> followed_;  // mutex_; those of active_ that run elsewhere
  bool down_ = false;                         // mutex_
  bool follower_runs_ = false;                // mutex_
  uint32_t settled_since_pruning_ = 0;        // mutex_
  std::condition_variable_any follow_wake_;
  int64_t seen_version_ = 0;  // the follower's
  std::jthread follower_;     // mutex_ to start it
  std::unique_ptr<WorkerPool> pool_;
};

}  // namespace k3saga::operations
