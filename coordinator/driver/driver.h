#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/host/clock.h"
#include "common/host/loop.h"
#include "coordinator/core/state.h"
#include "coordinator/driver/observer.h"
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
};

struct Finish {
  enum class How {
    kEnded,   // RolloutEnded is in the journal
    kPaused,  // paused, and nothing is in flight any more: the process may leave, the rollout can be resumed
    kFailed,  // the journal or the program's own logic failed: nothing was dispatched after that, the process
              // ends
  };
  How how;
  absl::Status error;  // kFailed
};

// Runs one rollout. One turn of the loop: fold what came in, decide until nothing more follows, commit all of
// it at once, and only then dispatch whatever the state shows as issued and not settled, acknowledge commands
// and tell the observers.
//
// Everything happens on the loop's thread. Destroying the driver leaves operations running on the nodes: a
// later Resume attaches to them.
class Driver {
 public:
  using Finished = std::function<void(const Finish&)>;

  // `finished` runs once, from the loop; kPaused may be followed by more when somebody resumes.
  Driver(Services services, std::vector<Observer*> observers, Finished finished);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // Begins a rollout: its first event is durable when this returns OK. `created` is complete (id, plan,
  // holder, epoch).
  absl::Status Start(const v1::RolloutCreated& created);

  // Goes on with a rollout of the journal, under a new holder and a higher epoch (at least `lowest_epoch`),
  // and unpauses it. Operations that were open are asked for again by their names. kNotFound;
  // kFailedPrecondition when it has ended.
  absl::Status Resume(std::string_view rollout, std::string_view holder, uint64_t lowest_epoch);

  // `done` runs once the command is durable (OK), or says why it was not accepted.
  void Command(v1::CommandReceived::Command command, std::string_view by,
               std::function<void(absl::Status)> done);

  const core::State& state() const;
  const std::vector<v1::Event>& events() const;  // all of them, from the first

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k3saga::driver
