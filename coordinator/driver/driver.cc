#include "coordinator/driver/driver.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "common/status_macros.h"
#include "coordinator/core/saga.h"

namespace k3saga::driver {
namespace {

// Whether the state still waits for this. Answers may be late: the probe was dropped, the timer's node has
// finished, the operation was settled by its deadline in the same turn.
bool Awaited(const v1::Event& event, const core::State& state) {
  switch (event.body_case()) {
    case v1::Event::kSettled:
      return state.open_operations.count(event.settled().sequence()) != 0;
    case v1::Event::kGateProved:
      return state.open_probes.count(event.gate_proved().sequence()) != 0;
    case v1::Event::kExternalGateAnswered:
      return state.open_gates.count(event.external_gate_answered().sequence()) != 0;
    case v1::Event::kTimerFired:
      return state.open_timers.count(event.timer_fired().sequence()) != 0;
    default:
      return true;
  }
}

}  // namespace

Driver::Driver(Services services, std::vector<Observer*> observers, Finished finished)
    : services_(std::move(services)),
      observers_(std::move(observers)),
      finished_(std::move(finished)),
      dispatcher_({services_.loop, services_.clock, services_.fleet, services_.random},
                  {[this](v1::Event event) { Receive(std::move(event)); },
                   [this](uint64_t sequence, const std::string& node, const v1::Progress& progress) {
                     for (Observer* observer : observers_) observer->OnProgress(sequence, node, progress);
                   }},
                  services_.ask_gate, services_.release_cache),
      alive_(std::make_shared<bool>(true)) {}

Driver::~Driver() { *alive_ = false; }

void Driver::Later(std::function<void()> work) {
  services_.loop.Post([alive = alive_, work = std::move(work)] {
    if (*alive) work();
  });
}

absl::Status Driver::Start(const v1::RolloutCreated& created) {
  if (state_.created()) return absl::FailedPreconditionError("this driver already runs a rollout");
  v1::Event event;
  *event.mutable_created() = created;
  Receive(std::move(event));
  return Turn();
}

absl::Status Driver::Resume(std::string_view rollout, std::string_view holder, uint64_t lowest_epoch) {
  K3SAGA_RETURN_IF_ERROR(TakeUp(rollout));
  v1::Event resumed;
  resumed.mutable_resumed()->set_holder(std::string(holder));
  resumed.mutable_resumed()->set_epoch(std::max(state_.epoch + 1, lowest_epoch));
  Receive(std::move(resumed));
  return Turn();
}

absl::Status Driver::Adopt(const v1::RolloutCreated& created, const v1::RolloutAdopted& adopted) {
  absl::Status known = TakeUp(created.rollout());
  if (absl::IsNotFound(known)) {
    v1::Event event;
    *event.mutable_created() = created;
    Receive(std::move(event));
  } else if (!known.ok()) {
    return known;
  }
  v1::Event event;
  *event.mutable_adopted() = adopted;
  Receive(std::move(event));
  return Turn();
}

// Folds what the journal has of it.
absl::Status Driver::TakeUp(std::string_view rollout) {
  if (state_.created()) return absl::FailedPreconditionError("this driver already runs a rollout");
  K3SAGA_ASSIGN_OR_RETURN(std::vector<v1::Event> events, services_.journal.Read(rollout));
  K3SAGA_RETURN_IF_ERROR(Replay(events));
  if (state_.ended()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "rollout ", std::string(rollout), " has ended; see k3saga status ", std::string(rollout)));
  }
  events_ = std::move(events);
  for (Observer* observer : observers_) observer->OnEvents(1, events_, state_);
  return absl::OkStatus();
}

absl::Status Driver::Replay(const std::vector<v1::Event>& events) {
  for (const v1::Event& event : events) {
    dispatcher_.Learn(event, state_);
    if (absl::Status status = core::Apply(event, state_); !status.ok()) {
      return absl::DataLossError(absl::StrCat(
          "event ", state_.events + 1, " of the journal does not fold: ", std::string(status.message())));
    }
  }
  return absl::OkStatus();
}

void Driver::Command(v1::CommandReceived::Command command, std::string_view by, Acknowledged done) {
  v1::Event event;
  event.mutable_command()->set_command(command);
  event.mutable_command()->set_by(std::string(by));
  rest_reported_ = false;
  Receive(std::move(event), std::move(done));
}

void Driver::Receive(v1::Event event, Acknowledged done) {
  if (over_) {
    if (done) {
      Later([done = std::move(done)] { done(absl::FailedPreconditionError("the rollout has ended")); });
    }
    return;
  }
  inbox_.push_back({std::move(event), std::move(done)});
  if (std::exchange(turn_posted_, true)) return;
  // Everything that comes until then shares one turn, and so one commit.
  Later([this] {
    if (turn_posted_) (void)Turn();
  });
}

// An input that nobody waits for any more is dropped. A command that cannot follow is its sender's error.
absl::Status Driver::FoldInputs(std::vector<Input>& inputs, int64_t now, std::vector<v1::Event>& log) {
  for (Input& input : inputs) {
    if (!Awaited(input.event, state_)) continue;
    dispatcher_.Learn(input.event, state_);
    const absl::Status status = FoldOne(std::move(input.event), now, state_, log);
    if (status.ok()) continue;
    if (!input.done) {
      return absl::InternalError(
          absl::StrCat("what was heard does not fold: ", std::string(status.message())));
    }
    Later([done = std::exchange(input.done, nullptr), status] { done(status); });
  }
  return absl::OkStatus();
}

absl::Status Driver::Turn() {
  turn_posted_ = false;
  if (over_) return absl::OkStatus();
  std::vector<Input> inputs = std::exchange(inbox_, {});
  const int64_t now = services_.clock.WallUnixMillis();
  const uint64_t before = events_.size();
  std::vector<v1::Event> log;

  absl::Status status = FoldInputs(inputs, now, log);
  if (status.ok() && !log.empty()) status = DecideToTheEnd(services_.decide, now, state_, log);
  if (status.ok() && !log.empty()) status = services_.journal.Append(state_.rollout(), before, log);
  for (Input& input : inputs) {
    if (input.done) Later([done = std::move(input.done), status] { done(status); });
  }
  if (!status.ok()) {
    Fail(status);
    return status;
  }
  if (log.empty()) return absl::OkStatus();

  events_.insert(events_.end(), log.begin(), log.end());
  for (Observer* observer : observers_) observer->OnEvents(before + 1, log, state_);
  dispatcher_.Match(state_);
  ReportRest();
  return absl::OkStatus();
}

void Driver::ReportRest() {
  if (state_.ended()) {
    over_ = true;
    dispatcher_.Clear();
    Later([this] { finished_({Finish::How::kEnded, absl::OkStatus()}); });
  } else if (!state_.paused) {
    rest_reported_ = false;
  } else if (state_.quiet() && inbox_.empty() && !std::exchange(rest_reported_, true)) {
    Later([this] { finished_({Finish::How::kPaused, absl::OkStatus()}); });
  }
}

void Driver::Fail(absl::Status error) {
  over_ = true;
  dispatcher_.Clear();
  Later([this, error = std::move(error)] { finished_({Finish::How::kFailed, error}); });
}

}  // namespace k3saga::driver
