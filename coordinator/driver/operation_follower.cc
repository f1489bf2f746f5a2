#include "coordinator/driver/operation_follower.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "common/reason.h"

namespace k3saga::driver {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstDelay(200);
constexpr milliseconds kLongestDelay(5'000);
// What a call may take beyond the deadline, which is kept by a timer of our own.
constexpr milliseconds kCallSlack(5'000);

v1::Outcome MakeOutcome(v1::Outcome::Code code, v1::Reason reason) {
  v1::Outcome outcome;
  outcome.set_code(code);
  *outcome.mutable_reason() = std::move(reason);
  return outcome;
}

std::string Text(const absl::Status& status) { return std::string(status.message()); }

}  // namespace

milliseconds RetryDelay(int breaks, uint64_t random) {
  int64_t delay = kFirstDelay.count();
  for (int i = 0; i < breaks && delay < kLongestDelay.count(); ++i) delay *= 2;
  delay = std::min<int64_t>(delay, kLongestDelay.count());
  const auto span = static_cast<uint64_t>(delay / 2);
  return milliseconds(delay - delay / 4 + static_cast<int64_t>(random % (span + 1)));
}

OperationFollower::OperationFollower(Edge edge, std::string agent, v1::RunRequest request,
                                     milliseconds deadline, Hear hear)
    : edge_(std::move(edge)),
      agent_(std::move(agent)),
      request_(std::move(request)),
      deadline_(deadline),
      deadline_at_(edge_.clock.Steady() + deadline),
      hear_(std::move(hear)) {
  deadline_timer_ = edge_.loop.After(deadline, [this] {
    deadline_timer_ = 0;
    DeadlinePassed();
  });
  Ask();
}

OperationFollower::~OperationFollower() {
  edge_.loop.CancelTimer(deadline_timer_);
  edge_.loop.CancelTimer(retry_timer_);
}

void OperationFollower::Ask() {
  const milliseconds left = std::max(deadline_at_ - edge_.clock.Steady(), milliseconds(0));
  call_ = edge_.fleet.Run(agent_, request_, left + kCallSlack,
                          {[this](const v1::RunReply::Accepted& accepted) { Accepted(accepted); },
                           [this](const v1::Progress& progress) {
                             if (!settled_) hear_.progress(progress);
                           },
                           [this](absl::StatusOr<v1::Outcome> outcome) { Ended(std::move(outcome)); }});
}

void OperationFollower::Accepted(const v1::RunReply::Accepted& accepted) {
  if (settled_) return;
  breaks_ = 0;
  journal_id_ = accepted.journal_id();
  // An agent that started it although another journal should have known it: what was done before is not
  // known.
  if (!accepted.known() && !request_.journal_id().empty() && journal_id_ != request_.journal_id()) {
    Settle(MakeOutcome(
        v1::Outcome::UNKNOWN,
        MakeReason(v1::LOST_OPERATION, agent_,
                   "the agent's journal is not the one that this operation may have been given to")));
  }
}

void OperationFollower::Ended(absl::StatusOr<v1::Outcome> outcome) {
  if (settled_) return;
  if (outcome.ok()) {
    // Refused for not being known any more: what it did when it was known, nobody can tell.
    const v1::ReasonCode why = outcome->reason().code();
    if (outcome->code() == v1::Outcome::REFUSED &&
        (why == v1::LOST_OPERATION || why == v1::STALE_OPERATION)) {
      outcome->set_code(v1::Outcome::UNKNOWN);
    }
    Settle(*std::move(outcome));
    return;
  }
  switch (outcome.status().code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:
      // The agent does not understand the question: asking again will not help, and nothing was begun.
      Settle(MakeOutcome(v1::Outcome::REFUSED, MakeReason(v1::UNKNOWN_ACTION, agent_, Text(outcome.status()),
                                                          "bring the agent to this k3saga's version")));
      return;
    case absl::StatusCode::kNotFound:
      Settle(MakeOutcome(v1::Outcome::UNKNOWN,
                         MakeReason(v1::NODE_UNREACHABLE, agent_, Text(outcome.status()))));
      return;
    default:
      AskLater(outcome.status());
  }
}

void OperationFollower::AskLater(const absl::Status& because) {
  last_error_ = because;
  v1::Progress progress;
  progress.set_phase("reconnecting");
  progress.set_detail(Text(because));
  hear_.progress(progress);
  retry_timer_ = edge_.loop.After(RetryDelay(breaks_++, edge_.random()), [this] {
    retry_timer_ = 0;
    Ask();
  });
}

void OperationFollower::DeadlinePassed() {
  const std::string limit = absl::StrCat(deadline_.count() / 1000, " s");
  if (journal_id_.empty()) {
    const std::string why = last_error_.ok() ? "no answer" : Text(last_error_);
    Settle(MakeOutcome(
        v1::Outcome::UNKNOWN,
        MakeReason(v1::NODE_UNREACHABLE, agent_, absl::StrCat("not reached within ", limit, ": ", why),
                   "start the node's agent and see that it can be reached")));
  } else {
    Settle(MakeOutcome(v1::Outcome::UNKNOWN,
                       MakeReason(v1::TIMED_OUT, agent_, absl::StrCat("no outcome within ", limit))));
  }
}

void OperationFollower::Settle(v1::Outcome outcome) {
  settled_ = true;
  edge_.loop.CancelTimer(deadline_timer_);
  edge_.loop.CancelTimer(retry_timer_);
  hear_.settled(std::move(outcome), journal_id_);
}

}  // namespace k3saga::driver
