#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "agent/operations/names.h"
#include "k3saga/v1/operation.pb.h"

namespace k3saga::operations {

// An operation as a pure phase machine: a record, an input, the next phase. No I/O, no clock, no threads; the
// agent's runner drives it with real effects, the simulation with virtual ones.
//
// The contract with whoever drives it:
//   1. A phase is durable before its effect runs. Effects are idempotent, so that a crash runs the same one
//      again.
//   2. When the process that runs the operation starts (again), `Begin` is called first, and the result is
//      made durable before anything else: starts are what breaks a crash loop.
//   3. Between two effects a pending cancellation or a deadline that has passed is given to `Advance`
//   instead.

// What one effect came to.
struct EffectResult {
  enum class Kind : uint8_t {
    kDone,
    kAlready,  // nothing was to be done: the operation's goal is reached
    kRefused,  // it would not be right; nothing was done by this effect
    kFailed,
    kInterrupted,  // stopped by the deadline or a cancellation before it was done
  };
  Kind kind = Kind::kDone;
  v1::Reason reason;                         // set unless done
  v1::Outcome details;                       // only its `result` is read: merged into the outcome
  std::map<std::string, std::string> notes;  // merged into Record::notes, durable with the next phase

  static EffectResult Done();
  static EffectResult Already();
  static EffectResult Refused(v1::Reason reason);
  static EffectResult Failed(v1::Reason reason);
  static EffectResult Interrupted();
};

// An operation as the agent's journal keeps it. A value; cheap to copy.
struct Record {
  v1::OperationId id;
  v1::Authority authority;  // of whoever asked last
  std::shared_ptr<const v1::OperationSpec> spec;
  Verb verb = Verb::kUnknown;
  Phase phase = Phase::kCheck;
  uint32_t starts = 0;                       // processes that worked on it
  uint32_t starts_before_turning = 0;        // of those, before the way back began
  bool turned = false;                       // on a way back: its own deadline and count of starts
  v1::Outcome outcome;                       // on a way back: code and reason it will settle with
  std::map<std::string, std::string> notes;  // what effects remember between phases and processes

  bool settled() const { return phase == Phase::kSettled; }
};

// A new operation in its first phase. The verb must be known.
Record NewRecord(const v1::OperationId& id, const v1::Authority& authority,
                 std::shared_ptr<const v1::OperationSpec> spec);

// More starts than this, on the way forward or on the way back, are a crash loop.
inline constexpr uint32_t kMaxStarts = 5;

// A process begins to work on the record, for the first time or after a crash: counts, breaks a crash loop,
// and says (in record.phase) which effect is the next. No effect on a settled record.
void Begin(Record& record);

// The effect of record.phase came to this. kInterrupted changes nothing: say why with one of the two below.
void Advance(Record& record, const EffectResult& result);

// The deadline of the current direction passed. Always leads somewhere else.
void PassDeadline(Record& record);

// Somebody wants the operation to end. False: past the point where it can be; nothing changed, it goes on.
bool Cancel(Record& record);
bool Cancellable(const Record& record);

// No process can be had that would work on it: settled as failed. The node is as it was if none ever did.
void GiveUp(Record& record, v1::Reason reason);

// How long the current direction may take: from its first effect to its end, as the spec says or by the
// verb's default. The way back has as long as the way forward.
uint32_t BudgetSeconds(const Record& record);

}  // namespace k3saga::operations
