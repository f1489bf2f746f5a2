#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/clock.h"
#include "common/host/loop.h"
#include "coordinator/core/state.h"
#include "coordinator/driver/dispatcher.h"
#include "coordinator/driver/observer.h"
#include "coordinator/driver/turn.h"
#include "coordinator/fleet/fleet.h"
#include "coordinator/journal/journal.h"

namespace k3saga::driver {

// What a driver works with; all of it outlives the driver.
struct Services {
  Loop& loop;
  const Clock& clock;
  journal::Journal& journal;
  fleet::Fleet& fleet;
  std::function<uint64_t()> random;
  Decider decide;  // core::Decide
  AskGate ask_gate = gate::Ask;
  // A folder for releases that this machine fetches for its nodes (coordinator:https://...).
  std::string release_cache = {};
};

struct Finish {
  enum class How {
    kEnded,   // RolloutEnded is in the journal
    kPaused,  // paused, and nothing is in flight any more: the process may leave, the rollout can be resumed
    kFailed,  // the journal or our own logic failed: nothing follows any more, the process has to end
  };
  How how;
  absl::Status error;  // kFailed
};

// Runs one rollout. One turn of the loop: fold what came in, decide until nothing more follows, commit all of
// it at once, and only then acknowledge commands, tell the observers, and dispatch whatever the state shows
// as issued and not settled.
//
// Everything happens on the loop's thread. Destroying the driver leaves operations running on the nodes: a
// later Resume attaches to them.
class Driver {
 public:
  // Runs from the loop: once for kEnded or kFailed; each time that the rollout comes to rest for kPaused.
  using Finished = std::function<void(const Finish&)>;
  using Acknowledged = std::function<void(absl::Status)>;

  Driver(Services services, std::vector<Observer*> observers, Finished finished);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // Begins a rollout: its first events are durable when this returns OK. `created` is complete (id, plan,
  // holder, epoch).
  absl::Status Start(const v1::RolloutCreated& created);

  // Goes on with a rollout of the journal under a new holder and a higher epoch (at least `lowest_epoch`),
  // and unpauses it. Operations that were open are asked for again by their names. kNotFound;
  // kFailedPrecondition when it has ended.
  absl::Status Resume(std::string_view rollout, std::string_view holder, uint64_t lowest_epoch);

  // Goes on with a rollout of which this journal has nothing, or less than has happened since. What it has is
  // kept. kFailedPrecondition when it has ended there.
  absl::Status Adopt(const v1::RolloutCreated& created, const v1::RolloutAdopted& adopted);

  // `done` runs once: OK when the command is durable, else why it was not taken.
  void Command(v1::CommandReceived::Command command, std::string_view by, Acknowledged done);

  const core::State& state() const { return state_; }
  const std::vector<v1::Event>& events() const { return events_; }  // all of them, from the first; durable

 private:
  struct Input {
    v1::Event event;
    Acknowledged done;  // may be null
  };

  void Receive(v1::Event event, Acknowledged done = nullptr);
  absl::Status Turn();
  absl::Status FoldInputs(std::vector<Input>& inputs, int64_t now, std::vector<v1::Event>& log);
  void Fail(absl::Status error);
  void ReportRest();
  absl::Status TakeUp(std::string_view rollout);
  absl::Status Replay(const std::vector<v1::Event>& events);
  // Runs `work` from the loop, unless the driver is gone by then.
  void Later(std::function<void()> work);

  const Services services_;
  const std::vector<Observer*> observers_;
  const Finished finished_;

  core::State state_;
  std::vector<v1::Event> events_;
  std::vector<Input> inbox_;
  bool turn_posted_ = false;
  bool over_ = false;           // ended or failed: nothing is taken any more
  bool rest_reported_ = false;  // since the last command
  Dispatcher dispatcher_;
  std::shared_ptr<bool> alive_;
};

}  // namespace k3saga::driver
