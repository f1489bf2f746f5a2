#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "k3saga/v1/event.pb.h"

namespace k3saga::journal {

// A rollout as a list shows it, told by its first and last events.
struct RolloutSummary {
  std::string rollout;
  std::string cluster;
  v1::Plan::Kind kind = v1::Plan::UPGRADE;
  std::string from_version;
  std::string to_version;
  std::string holder;  // who runs or ran it last
  uint64_t epoch = 0;  // the highest it used
  uint64_t events = 0;
  int64_t created_unix_ms = 0;
  int64_t last_event_unix_ms = 0;
  // RESULT_UNSPECIFIED: not ended; it can be resumed.
  v1::RolloutEnded::Result result = v1::RolloutEnded::RESULT_UNSPECIFIED;
};

// The rollouts' logs. Small on purpose: whatever can append a batch atomically and durably, compare a counter
// while doing so, and read in order (SQLite here, etcd one day) can stand behind it.
//
// Errors: kNotFound (no such rollout), kAborted (somebody else appended meanwhile), kResourceExhausted (disk
// full), kDataLoss (what is stored cannot be what was written), kUnavailable (could not be reached or
// locked). After a failed Append nobody may act on what was to be written: the process ends.
class Journal {
 public:
  virtual ~Journal() = default;

  // Appends `events` after the `after` events the rollout has, all or none, and returns once they are
  // durable. 0 begins a rollout.
  virtual absl::Status Append(std::string_view rollout, uint64_t after,
                              const std::vector<v1::Event>& events) = 0;

  // All events, in order.
  virtual absl::StatusOr<std::vector<v1::Event>> Read(std::string_view rollout) const = 0;

  // Newest first.
  virtual absl::StatusOr<std::vector<RolloutSummary>> List() const = 0;
};

// Those that have not ended, newest first; of one cluster, or of all when `cluster` is empty.
absl::StatusOr<std::vector<RolloutSummary>> FindUnfinished(const Journal& journal, std::string_view cluster);

// What List says of a rollout with these events (the first is its RolloutCreated).
RolloutSummary Summarize(const std::vector<v1::Event>& events);

}  // namespace k3saga::journal
