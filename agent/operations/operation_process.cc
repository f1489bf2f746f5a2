#include "agent/operations/operation_process.h"

#include <absl/strings/str_cat.h>

#include <thread>
#include <utility>

#include "agent/operations/process_lock.h"
#include "agent/operations/runner.h"
#include "common/host/log.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::operations {
namespace {

constexpr std::chrono::milliseconds kBetweenReports{200};

// Writes progress down for the service: phases at once, details not more often than people can read.
class JournalReporter {
 public:
  JournalReporter(Journal* journal, const Clock* clock, v1::OperationId id)
      : journal_(journal), clock_(clock), id_(std::move(id)) {}

  void Report(const v1::Progress& progress) {
    const auto now = clock_->Steady();
    if (progress.phase() == last_phase_ && now - last_ < kBetweenReports) return;
    last_phase_ = progress.phase();
    last_ = now;
    absl::Status status = journal_->ReportProgress(id_, progress);
    if (!status.ok()) LogWarning(std::string(status.message()));
  }

 private:
  Journal* const journal_;
  const Clock* const clock_;
  const v1::OperationId id_;
  std::string last_phase_;
  std::chrono::milliseconds last_{0};
};

}  // namespace

absl::Status OperationProcess::Run(const v1::OperationId& id, const std::stop_token& stop) {
  K3SAGA_ASSIGN_OR_RETURN(const ProcessLock lock, ProcessLock::Acquire(lock_path, lock_patience));
  // Read only now: until the lock was ours, another process may have been at work on it.
  K3SAGA_ASSIGN_OR_RETURN(const std::optional<Entry> entry, journal->Find(id));
  if (!entry)
    return absl::NotFoundError(absl::StrCat("operation ", OperationName(id), " is not in the journal"));
  if (entry->record.settled()) return absl::OkStatus();

  JournalReporter reporter(journal, clock, id);
  OperationRun::Parts parts;
  parts.journal = journal;
  parts.effects = effects;
  parts.clock = clock;
  parts.pauser = pauser;
  parts.boot_id = boot_id;
  parts.progress = [&](const v1::Progress& progress) { reporter.Report(progress); };
  OperationRun run(std::move(parts), *entry);
  const std::stop_callback on_stop(stop, [&] { run.Stop(); });

  std::jthread listener([&](const std::stop_token& done) {
    int64_t seen = -1;
    while (pauser->Pause(look_every, done)) {
      const auto version = journal->DataVersion();
      if (!version.ok() || *version == seen) continue;
      seen = *version;
      const auto now = journal->Find(id);
      if (now.ok() && now->has_value() && (*now)->cancel_requested) run.Cancel();
    }
  });
  absl::Status status = run.Execute();
  listener.request_stop();
  listener.join();
  if (status.ok()) {
    const Record& record = run.record();
    LogInfo(absl::StrCat(std::string(VerbName(record.verb)), " ", OperationName(id), ": ",
                         v1::Outcome::Code_Name(record.outcome.code()),
                         record.outcome.has_reason() ? ": " + Describe(record.outcome.reason()) : ""));
  }
  return status;
}

}  // namespace k3saga::operations
