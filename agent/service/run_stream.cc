#include "agent/service/run_stream.h"

#include <mutex>
#include <optional>
#include <utility>

#include "agent/service/service.h"
#include "common/host/crash_point.h"
#include "common/reason.h"

namespace k3saga::service {
namespace {

CrashPoint run_received("agent.rpc.run.received");
CrashPoint run_accepted("agent.rpc.run.accepted");
CrashPoint run_settling("agent.rpc.run.settling");
CrashPoint run_settled("agent.rpc.run.settled");

// What the service itself cannot take, before anybody looks into a journal.
std::optional<grpc::Status> Malformed(const v1::RunRequest& request) {
  const auto refuse = [](const char* what) { return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, what); };
  const v1::OperationId& id = request.id();
  if (id.rollout().empty() || id.rollout().size() > 100)
    return refuse("the operation's rollout has no usable name");
  if (id.sequence() == 0 || id.attempt() == 0)
    return refuse("an operation's sequence and attempt begin at 1");
  if (request.authority().rollout() != id.rollout()) {
    return refuse("an operation is run on the authority of its own rollout");
  }
  return std::nullopt;
}

}  // namespace

// What there is to say and whether somebody still listens. Shared with the supervisor's threads.
class RunStream::Session final : public operations::Watcher {
 public:
  explicit Session(RunStream* stream) : stream_(stream) {}

  void OnProgress(const v1::Progress& progress) override {
    const std::lock_guard lock(mutex_);
    progress_ = progress;  // one that was not sent yet is history
    Pump();
  }
  void OnOutcome(const v1::Outcome& outcome) override {
    const std::lock_guard lock(mutex_);
    outcome_ = outcome;
    Pump();
  }
  void OnLost(const absl::Status& why) override {
    End(grpc::Status(grpc::StatusCode::UNAVAILABLE, std::string(why.message())));
  }

  // The operation is durable: from now on the caller is told.
  void Open(const std::string& journal_id, bool known) {
    const std::lock_guard lock(mutex_);
    accepted_.emplace();
    accepted_->set_journal_id(journal_id);
    accepted_->set_known(known);
    open_ = true;
    Pump();
  }
  void Refuse(const v1::Reason& reason) {
    const std::lock_guard lock(mutex_);
    outcome_.emplace();
    outcome_->set_code(v1::Outcome::REFUSED);
    *outcome_->mutable_reason() = reason;
    open_ = true;
    Pump();
  }
  void End(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    open_ = true;
    end_ = status;
    Pump();
  }

  void Written(bool ok) {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) end_ = grpc::Status::CANCELLED;
    if (said_outcome_) run_settled.MaybeDie();
    Pump();
  }
  void Cancelled() {
    const std::lock_guard lock(mutex_);
    end_ = grpc::Status::CANCELLED;
    open_ = true;
    Pump();
  }
  void Detach() {
    const std::lock_guard lock(mutex_);
    stream_ = nullptr;
  }

 private:
  // With mutex_ held: says the next thing, if the last one was heard.
  void Pump() {
    if (!open_ || writing_ || finished_ || stream_ == nullptr) return;
    reply_.Clear();
    if (end_ || said_outcome_) {
      finished_ = true;
      stream_->Finish(end_.value_or(grpc::Status::OK));
      return;
    }
    if (accepted_) {
      *reply_.mutable_accepted() = *std::exchange(accepted_, std::nullopt);
      run_accepted.MaybeDie();
    } else if (outcome_) {
      *reply_.mutable_outcome() = *outcome_;
      said_outcome_ = true;
      run_settling.MaybeDie();
    } else if (progress_) {
      *reply_.mutable_progress() = *std::exchange(progress_, std::nullopt);
    } else {
      return;
    }
    writing_ = true;
    stream_->StartWrite(&reply_);
  }

  std::mutex mutex_;
  RunStream* stream_;  // mutex_, as all below; null once gRPC is done
  bool open_ = false;
  bool writing_ = false;
  bool said_outcome_ = false;
  bool finished_ = false;
  std::optional<v1::RunReply::Accepted> accepted_;
  std::optional<v1::Progress> progress_;
  std::optional<v1::Outcome> outcome_;
  std::optional<grpc::Status> end_;
  v1::RunReply reply_;
};

RunStream::RunStream() : session_(std::make_shared<Session>(this)) {}

void RunStream::Begin(const std::string& journal_id, operations::Supervisor* supervisor,
                      operations::WorkerPool* pool, const v1::RunRequest& request) {
  run_received.MaybeDie();
  if (const auto malformed = Malformed(request)) {
    session_->End(*malformed);
    return;
  }
  pool->Post([session = session_, journal_id, supervisor, request] {
    const auto answer = supervisor->Run(request, session);
    if (absl::IsResourceExhausted(answer.status())) {
      session->Refuse(ReasonOf(answer.status()));  // nothing was done: that is an outcome
    } else if (!answer.ok()) {
      session->End(ToGrpc(answer.status()));
    } else if (answer->refusal) {
      session->Refuse(*answer->refusal);
    } else {
      session->Open(journal_id, answer->known);
    }
  });
}

void RunStream::OnWriteDone(bool ok) { session_->Written(ok); }

void RunStream::OnCancel() { session_->Cancelled(); }

void RunStream::OnDone() {
  session_->Detach();
  delete this;
}

}  // namespace k3saga::service
