#include "agent/replace/replacer.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "agent/operations/process_lock.h"
#include "common/host/files.h"
#include "common/host/log.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::replace {
namespace {

using State = v1::ReplaceAgentReply;

v1::ReplaceAgentReply Ended(v1::ReplaceAgentReply reply, State::State state, v1::Reason reason) {
  reply.set_state(state);
  *reply.mutable_reason() = std::move(reason);
  return reply;
}

}  // namespace

absl::Status Replacer::Run(const std::stop_token& stop) {
  std::optional<v1::AgentReplacement> record = record_file->Load();
  if (!record || record->reply().state() != State::RUNNING) return absl::OkStatus();
  const auto lock = operations::ProcessLock::Acquire(lock_path, lock_patience);
  if (lock.ok()) {
    *record->mutable_reply() = Replace(*record, stop);
  } else {
    *record->mutable_reply() = Ended(
        record->reply(), State::REFUSED,
        MakeReason(v1::BUSY, node, "an operation's process is at work", "ask again when it has settled"));
  }
  if (record->reply().state() == State::RUNNING) return absl::AbortedError("stopped; the next start goes on");
  LogInfo(absl::StrCat("k3saga-agent ", record->reply().from_version(), " to ", record->reply().to_version(),
                       ": ", State::State_Name(record->reply().state()),
                       record->reply().has_reason() ? ": " + Describe(record->reply().reason()) : ""));
  K3SAGA_RETURN_IF_ERROR(record_file->Save(*record));
  // The upload and the copy have done their work.
  if (record->reply().state() != State::REPLACED) return absl::OkStatus();
  K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(record_file->previous()));
  return RemoveFileDurably(file);
}

v1::ReplaceAgentReply Replacer::Replace(v1::AgentReplacement& record, const std::stop_token& stop) {
  const v1::ReplaceAgentReply& reply = record.reply();
  const auto failed = [&](const absl::Status& status) {
    return Ended(reply, State::REFUSED, ReasonOf(status, node));
  };
  if (!record.kept()) {
    const absl::Status copied = CopyFileDurably(host->program(), record_file->previous());
    if (!copied.ok()) return failed(copied);
    record.set_kept(true);
    const absl::Status saved = record_file->Save(record);
    if (!saved.ok()) return failed(saved);
  }
  const auto before = host->Look();
  if (!before.ok()) return failed(before.status());
  const absl::Status installed = host->Install(file, record.request().allow_downgrade());
  if (!installed.ok()) return PutBack(reply, ReasonOf(installed, node), stop);
  const auto after = host->Look();
  // A package restarts the service by itself, unless the machine's policy forbids that; a program never does.
  if (after.ok() && after->main_pid == before->main_pid) {
    const absl::Status restarted = host->Restart();
    if (!restarted.ok()) return PutBack(reply, ReasonOf(restarted, node), stop);
  }
  const absl::Status serving = AwaitService(before->main_pid, stop);
  if (absl::IsAborted(serving)) return reply;
  if (!serving.ok()) {
    return PutBack(reply,
                   MakeReason(v1::UNIT_NOT_ACTIVE, node,
                              absl::StrCat("agent ", reply.to_version(),
                                           " did not stay up: ", std::string(serving.message())),
                              "see journalctl -u k3saga-agent there"),
                   stop);
  }
  v1::ReplaceAgentReply done = reply;
  done.set_state(State::REPLACED);
  return done;
}

absl::Status Replacer::AwaitService(uint32_t before, const std::stop_token& stop) {
  const auto deadline = clock->Steady() + serving_within;
  uint32_t pid = 0;
  auto since = clock->Steady();
  std::string seen = "systemd did not answer";
  while (clock->Steady() < deadline) {
    if (const auto state = host->Look(); state.ok()) {
      seen = state->words;
      const bool serves = state->active && state->runs_installed && state->main_pid != before;
      if (!serves || state->main_pid != pid) {
        pid = serves ? state->main_pid : 0;
        since = clock->Steady();
      } else if (clock->Steady() - since >= steady_for) {
        return absl::OkStatus();
      }
    }
    if (!pauser->Pause(look_every, stop)) return absl::AbortedError("stopped");
  }
  const std::string words = host->LastWords();
  return absl::DeadlineExceededError(absl::StrCat("not serving within ", serving_within.count() / 1000,
                                                  " s (", seen,
                                                  words.empty() ? "" : "; its last words: ", words, ")"));
}

v1::ReplaceAgentReply Replacer::PutBack(v1::ReplaceAgentReply reply, v1::Reason why,
                                        const std::stop_token& stop) {
  const auto failed = [&](const absl::Status& status) {
    absl::StrAppend(why.mutable_detail(),
                    "; and the old one could not be put back: ", std::string(status.message()));
    return Ended(std::move(reply), State::FAILED, std::move(why));
  };
  const auto kept = Sha256OfFile(record_file->previous());
  if (!kept.ok()) return failed(kept.status());
  const auto now = Sha256OfFile(host->program());
  if (!now.ok() || *now != *kept) {
    const absl::Status put = ReplaceFileDurably(record_file->previous(), host->program(), 0755);
    if (!put.ok()) return failed(put);
  }
  const auto state = host->Look();
  // Nothing was changed, and it serves all the while.
  if (state.ok() && state->active && state->runs_installed)
    return Ended(std::move(reply), State::PUT_BACK, std::move(why));
  const absl::Status restarted = host->Restart();
  if (!restarted.ok()) return failed(restarted);
  const absl::Status serving = AwaitService(0, stop);
  if (absl::IsAborted(serving)) return reply;
  if (!serving.ok()) return failed(serving);
  return Ended(std::move(reply), State::PUT_BACK, std::move(why));
}

}  // namespace k3saga::replace
