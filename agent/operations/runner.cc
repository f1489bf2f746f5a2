#include "agent/operations/runner.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "common/host/crash_point.h"
#include "common/host/log.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::operations {
namespace {

CrashPoint before_effect("agent.operation.before_effect");
CrashPoint after_effect("agent.operation.after_effect");

// A journal that cannot be written (disk full, a checkpoint of another process) gets this many chances.
constexpr int kSaveAttempts = 5;
constexpr std::chrono::milliseconds kBetweenSaves{1000};

}  // namespace

OperationRun::OperationRun(Parts parts, Entry entry)
    : parts_(std::move(parts)),
      record_(std::move(entry.record)),
      deadline_(std::move(entry.deadline)),
      cancel_(entry.cancel_requested) {}

absl::Status OperationRun::Execute() {
  const bool was_turned = record_.turned;
  Begin(record_);
  // Of another boot, the deadline says nothing any more: the direction has its whole time again, and the
  // count of starts keeps that from going on for ever.
  const bool fresh =
      record_.starts == 1 || deadline_.boot_id != parts_.boot_id || record_.turned != was_turned;
  if (fresh) StartBudget();
  K3SAGA_RETURN_IF_ERROR(Save());
  while (!record_.settled()) {
    if (Stopping())
      return absl::AbortedError(absl::StrCat(OperationName(record_.id), ": the agent is going down"));
    const Phase before = record_.phase;
    const bool turned_before = record_.turned;
    Step();
    if (record_.phase == before) continue;  // interrupted: the reason is dealt with in the next turn
    if (record_.turned && !turned_before) StartBudget();
    K3SAGA_RETURN_IF_ERROR(Save());
  }
  return absl::OkStatus();
}

void OperationRun::Step() {
  if (CancelPending() && operations::Cancel(record_)) return;
  if (Remaining() <= std::chrono::milliseconds(0)) {
    PassDeadline(record_);
    return;
  }
  RunEffect();
}

void OperationRun::RunEffect() {
  {
    const std::lock_guard lock(mutex_);
    effect_stop_ = std::stop_source();
    effect_cancellable_ = Cancellable(record_);
    if (stopping_ || (cancel_ && effect_cancellable_)) return;
  }
  LogInfo(absl::StrCat(std::string(VerbName(record_.verb)), " ", OperationName(record_.id), ": ",
                       std::string(PhaseName(record_.phase))));
  Report("", 0);
  before_effect.MaybeDie();
  EffectResult result = parts_.effects->Perform(record_.phase, record_, *this);
  after_effect.MaybeDie();
  if (result.kind == EffectResult::Kind::kInterrupted) {
    if (Stopped()) return;
    result = EffectResult::Failed(MakeReason(
        v1::LOCAL_FAILURE, "",
        absl::StrCat("phase ", std::string(PhaseName(record_.phase)), " gave up without a reason")));
  }
  Advance(record_, result);
}

void OperationRun::StartBudget() {
  deadline_ = {parts_.boot_id, parts_.clock->Steady().count() + int64_t{1000} * BudgetSeconds(record_)};
}

absl::Status OperationRun::Save() {
  absl::Status status;
  for (int attempt = 1; attempt <= kSaveAttempts; ++attempt) {
    status = parts_.journal->Save(record_, deadline_);
    if (status.ok() || status.code() == absl::StatusCode::kNotFound || attempt == kSaveAttempts) break;
    LogWarning(
        absl::StrCat(OperationName(record_.id), ": ", std::string(status.message()), "; trying again"));
    parts_.pauser->Pause(kBetweenSaves, std::stop_token());
  }
  return status;
}

void OperationRun::Cancel() {
  const std::lock_guard lock(mutex_);
  cancel_ = true;
  if (effect_cancellable_) effect_stop_.request_stop();
}

void OperationRun::Stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  effect_stop_.request_stop();
}

bool OperationRun::Stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool OperationRun::CancelPending() const {
  const std::lock_guard lock(mutex_);
  return cancel_;
}

std::chrono::milliseconds OperationRun::Remaining() const {
  const std::chrono::milliseconds left =
      std::chrono::milliseconds(deadline_.steady_ms) - parts_.clock->Steady();
  return std::max(left, std::chrono::milliseconds(0));
}

std::stop_token OperationRun::StopToken() const {
  const std::lock_guard lock(mutex_);
  return effect_stop_.get_token();
}

bool OperationRun::Wait(std::chrono::milliseconds duration) {
  return parts_.pauser->Pause(std::min(duration, Remaining()), StopToken()) && !Stopped();
}

void OperationRun::Report(std::string_view detail, uint32_t percent) {
  if (!parts_.progress) return;
  v1::Progress progress;
  progress.set_phase(std::string(PhaseName(record_.phase)));
  progress.set_detail(std::string(detail));
  progress.set_percent(percent);
  parts_.progress(progress);
}

}  // namespace k3saga::operations
