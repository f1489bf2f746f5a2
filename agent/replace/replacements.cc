#include "agent/replace/replacements.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "common/host/files.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::replace {
namespace {

using State = v1::ReplaceAgentReply;

// A machine that loses power each time is not helped by a fourth start.
constexpr uint32_t kMostStarts = 3;

}  // namespace

v1::ReplaceAgentReply Replacements::Ask(const v1::ReplaceAgentRequest& request) {
  const std::lock_guard lock(mutex_);
  if (request.attempt().empty()) return Refuse(absl::InvalidArgumentError("an attempt has to be named"));
  const auto record = parts_.record_file->Load();
  if (record && record->request().attempt() == request.attempt()) return Follow(request);
  const absl::StatusOr<bool> runs = Runs();
  if (!runs.ok()) return Refuse(runs.status());
  if (*runs) {
    return Refuse(
        ReasonError(MakeReason(v1::BUSY, parts_.node, "another replacement of this agent is under way",
                               "ask again when it has settled")));
  }
  return Begin(request);
}

v1::ReplaceAgentReply Replacements::Begin(const v1::ReplaceAgentRequest& request) {
  const auto file = parts_.uploads->Find(node::kAgentUploads, request.file_name());
  if (!file.ok()) return Refuse(file.status());
  const auto sha256 = Sha256OfFile(*file);
  if (!sha256.ok()) return Refuse(sha256.status());
  if (*sha256 != request.sha256()) {
    return Refuse(ReasonError(MakeReason(v1::CHECKSUM_MISMATCH, parts_.node,
                                         absl::StrCat(request.file_name(), " is not the file that was meant"),
                                         "push it again")));
  }
  const auto question = MakeQuestion(request, *file);
  if (!question.ok()) return Refuse(question.status());
  v1::AgentReplacement record;
  *record.mutable_request() = request;
  *record.mutable_reply() = Judge(*question);
  if (record.reply().state() != State::RUNNING) return record.reply();
  record.set_starts(1);
  absl::Status begun = parts_.record_file->Save(record);
  if (begun.ok()) begun = Launch();
  if (begun.ok()) return record.reply();
  *record.mutable_reply() = Refuse(begun);
  (void)parts_.record_file->Save(record);  // it was not begun: whatever is on record cannot run
  return record.reply();
}

v1::ReplaceAgentReply Replacements::Follow(const v1::ReplaceAgentRequest& request) {
  const absl::StatusOr<bool> runs = Runs();
  // Read after that: what the process wrote last is here once it is gone.
  auto record = parts_.record_file->Load();
  if (!record || record->request().attempt() != request.attempt()) {
    return Refuse(absl::InternalError("the record of this replacement is gone"));
  }
  if (record->reply().state() != State::RUNNING || !runs.ok() || *runs) return record->reply();
  // The machine went down in the middle.
  if (record->starts() >= kMostStarts) {
    record->mutable_reply()->set_state(State::FAILED);
    *record->mutable_reply()->mutable_reason() = MakeReason(
        v1::CRASH_LOOP, parts_.node, absl::StrCat("begun ", record->starts(), " times and never ended"),
        "see journalctl -u k3saga-agent-replace there");
  } else {
    record->set_starts(record->starts() + 1);
  }
  absl::Status status = parts_.record_file->Save(*record);
  if (status.ok() && record->reply().state() == State::RUNNING) status = Launch();
  return status.ok() ? record->reply() : Refuse(status);
}

absl::StatusOr<Question> Replacements::MakeQuestion(const v1::ReplaceAgentRequest& request,
                                                    const std::string& file) {
  Question question;
  question.node = parts_.node;
  question.allow_downgrade = request.allow_downgrade();
  K3SAGA_ASSIGN_OR_RETURN(question.offered, parts_.host->Inspect(file));
  K3SAGA_ASSIGN_OR_RETURN(question.installed, parts_.host->LookAtInstalled(parts_.service_pid));
  if (question.offered.form == question.installed.form) {
    K3SAGA_ASSIGN_OR_RETURN(
        question.order,
        parts_.host->Compare(question.offered.form, question.offered.version, question.installed.version));
  }
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<operations::Entry> unsettled, parts_.journal->Unsettled());
  for (const operations::Entry& entry : unsettled) {
    question.unsettled.push_back(absl::StrCat(std::string(operations::VerbName(entry.record.verb)), " ",
                                              operations::OperationName(entry.record.id)));
  }
  return question;
}

absl::Status Replacements::Launch() {
  node::TransientUnit unit;
  unit.name = kReplaceUnit;
  unit.properties = {"OOMScoreAdjust=-900", "Slice=k3saga.slice"};
  unit.argv = {parts_.program, "replace", "--config", parts_.config};
  const absl::Status status = parts_.systemd->RunTransient(unit);
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

absl::StatusOr<bool> Replacements::Runs() {
  K3SAGA_ASSIGN_OR_RETURN(const node::UnitStatus unit,
                          parts_.systemd->Show(absl::StrCat(kReplaceUnit, ".service")));
  return unit.active_state == "active" || unit.active_state == "activating" ||
         unit.active_state == "deactivating";
}

v1::ReplaceAgentReply Replacements::Refuse(const absl::Status& status) const {
  v1::ReplaceAgentReply reply;
  reply.set_state(State::REFUSED);
  *reply.mutable_reason() = ReasonOf(status, parts_.node);
  return reply;
}

}  // namespace k3saga::replace
