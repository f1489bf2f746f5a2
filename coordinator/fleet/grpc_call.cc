#include "coordinator/fleet/grpc_call.h"

#include <vector>

#include "common/host/crash_point.h"
#include "common/reason.h"

namespace k3saga::fleet {
namespace {

CrashPoint kBeforeSend("fleet.before_run_sent");
CrashPoint kAfterSend("fleet.after_run_sent");
CrashPoint kAcceptedReceived("fleet.accepted_received");
CrashPoint kOutcomeReceived("fleet.outcome_received");
CrashPoint kBeforeQuestion("fleet.before_question_sent");
CrashPoint kAfterQuestion("fleet.after_question_sent");
CrashPoint kAnswerReceived("fleet.answer_received");

}  // namespace

void AboutToAsk() { kBeforeQuestion.MaybeDie(); }
void HasAsked() { kAfterQuestion.MaybeDie(); }
void WasAnswered() { kAnswerReceived.MaybeDie(); }

absl::Status StatusOf(const grpc::Status& status, const std::string& node) {
  if (status.ok()) return absl::OkStatus();
  const absl::Status error(static_cast<absl::StatusCode>(status.error_code()),
                           absl::StrCat("agent of ", node, ": ", status.error_message()));
  // Beside an error that had none an agent sends a reason without a subject: it says no more than the error.
  v1::Reason reason;
  const bool typed = reason.ParseFromString(status.error_details()) && !reason.subject().empty();
  return typed ? WithReason(error, reason) : error;
}

void CallRegistry::Add(const std::shared_ptr<GrpcCall>& call) {
  calls_.insert(call);
  std::lock_guard lock(mutex_);
  ++running_;
}

void CallRegistry::Remove(GrpcCall* call) { calls_.erase(call->shared_from_this()); }

void CallRegistry::Finished() {
  std::lock_guard lock(mutex_);
  if (--running_ == 0) none_left_.notify_all();
}

void CallRegistry::CloseAll() {
  for (const auto& call : calls_) call->Abandon();
  {
    std::unique_lock lock(mutex_);
    none_left_.wait(lock, [this] { return running_ == 0; });
  }
  calls_.clear();
}

void RunCall::Start(v1::Agent::Stub& stub, const v1::RunRequest& request, std::chrono::milliseconds timeout) {
  SetTimeout(timeout);
  request_ = request;
  kBeforeSend.MaybeDie();
  stub.async()->Run(&context_, &request_, this);
  // Reads are started by the loop, outside gRPC's reactions: without the hold the call could end in between.
  AddHold();
  StartRead(&reply_);
  StartCall();
  kAfterSend.MaybeDie();
}

void RunCall::OnReadDone(bool ok) {
  if (!ok) {
    RemoveHold();
    return;
  }
  bool deliver = false;
  {
    std::lock_guard lock(mutex_);
    deliver = undelivered_ = !stopped_;
  }
  if (deliver) {
    PostIfHeard([this] { Deliver(); });
  } else {
    StartRead(&reply_);
  }
}

void RunCall::ReadOn() {
  {
    std::lock_guard lock(mutex_);
    if (!undelivered_) return;
    undelivered_ = false;
  }
  StartRead(&reply_);
}

void RunCall::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  GrpcCall::Stop();
  ReadOn();
}

void RunCall::Deliver() {
  // Out of the way of the next read: a callback may drop the call, which reads on.
  v1::RunReply reply;
  reply.Swap(&reply_);
  switch (reply.kind_case()) {
    case v1::RunReply::kAccepted:
      kAcceptedReceived.MaybeDie();
      events_.accepted(reply.accepted());
      break;
    case v1::RunReply::kProgress:
      events_.progress(reply.progress());
      break;
    case v1::RunReply::kOutcome:
      kOutcomeReceived.MaybeDie();
      Finish(std::move(*reply.mutable_outcome()));
      break;
    case v1::RunReply::KIND_NOT_SET:
      // A newer agent's kind of telemetry.
      break;
  }
  ReadOn();
}

void RunCall::Finish(absl::StatusOr<v1::Outcome> outcome) {
  if (std::exchange(finished_, true)) return;
  events_.done(std::move(outcome));
}

void RunCall::OnDone(const grpc::Status& status) {
  PostLast([this, status] {
    absl::Status error = StatusOf(status, node());
    // An agent that ends the stream without an outcome has not said anything about the operation.
    if (error.ok())
      error = absl::UnavailableError(absl::StrCat("agent of ", node(), ": ended without an outcome"));
    Finish(std::move(error));
  });
}

}  // namespace k3saga::fleet
