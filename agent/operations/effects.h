#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string_view>

#include "agent/operations/machine.h"

namespace k3saga::operations {

// What an effect may know of the run it is part of. Thread-safe.
class EffectContext {
 public:
  virtual ~EffectContext() = default;

  // Until the deadline; zero once it has passed. Effects return soon (seconds) after it has.
  virtual std::chrono::milliseconds Remaining() const = 0;
  // Asked for when the operation was cancelled or the process is going down: return kInterrupted.
  virtual std::stop_token StopToken() const = 0;
  // Either of the two.
  bool Stopped() const { return StopToken().stop_requested() || Remaining() <= std::chrono::milliseconds(0); }
  // Sleeps; wakes early and returns false when Stopped.
  virtual bool Wait(std::chrono::milliseconds duration) = 0;
  // For whoever watches. `percent` 0 when unknown. Cheap to call often.
  virtual void Report(std::string_view detail, uint32_t percent) = 0;
};

// The side of an operation that touches the world. One instance serves all operations; thread-safe.
class Effects {
 public:
  virtual ~Effects() = default;

  // Makes true what `phase` (record.phase) stands for. Idempotent: a crash runs the same phase again. Errors
  // are results, with their typed reason; nothing is thrown.
  virtual EffectResult Perform(Phase phase, const Record& record, EffectContext& context) = 0;
};

}  // namespace k3saga::operations
