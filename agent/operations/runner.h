#pragma once

#include <absl/status/status.h>

#include <functional>
#include <mutex>
#include <stop_token>
#include <string>

#include "agent/operations/effects.h"
#include "agent/operations/journal.h"
#include "common/host/clock.h"
#include "common/host/pause.h"

namespace k3saga::operations {

// One operation on its way: drives the machine with real effects until it is settled, each phase durable
// before its effect runs. Execute blocks its thread; Cancel and Stop may be called from any other.
class OperationRun final : private EffectContext {
 public:
  struct Parts {
    Journal* journal = nullptr;
    Effects* effects = nullptr;
    const Clock* clock = nullptr;
    Pauser* pauser = nullptr;
    std::string boot_id;
    // Hears phases and what effects report, on the thread that executes (or one of an effect's own).
    std::function<void(const v1::Progress&)> progress;
  };
  OperationRun(Parts parts, Entry entry);

  // To the end, from wherever the journal says. kAborted: stopped before that, the next start goes on. Any
  // other error is the journal's; the operation is then as the journal has it.
  absl::Status Execute();
  const Record& record() const { return record_; }  // after Execute

  // The operation is to end as soon as it can be ended.
  void Cancel();
  // The process is going down: returns from Execute soon, in whatever phase.
  void Stop();

 private:
  std::chrono::milliseconds Remaining() const override;
  std::stop_token StopToken() const override;
  bool Wait(std::chrono::milliseconds duration) override;
  void Report(std::string_view detail, uint32_t percent) override;

  void Step();
  void RunEffect();
  void StartBudget();
  absl::Status Save();
  bool Stopping() const;
  bool CancelPending() const;

  const Parts parts_;
  Record record_;      // the executing thread's
  Deadline deadline_;  // the executing thread's, constant while an effect runs

  mutable std::mutex mutex_;
  bool stopping_ = false;            // mutex_
  bool cancel_ = false;              // mutex_
  bool effect_cancellable_ = false;  // mutex_
  std::stop_source effect_stop_;     // mutex_; a new one for each effect
};

}  // namespace k3saga::operations
