#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "coordinator/core/state.h"

// What can be shown of a rollout, as a plain value: a pure function of its state. Every writer reads this.
namespace k3saga::view {

// What was last heard of a node's running operation.
struct Heard {
  uint64_t sequence = 0;
  v1::Progress progress;
};
using Telemetry = std::map<std::string, Heard>;  // by node

enum class Standing : uint8_t { kPending, kRunning, kDone, kFailed, kSkipped };

struct StepRow {
  v1::Step step = v1::STEP_UNSPECIFIED;
  Standing standing = Standing::kPending;
  int64_t elapsed_ms = 0;
  uint32_t done = 0;  // of `total` nodes; total 0: not counted
  uint32_t total = 0;
  std::string because;  // why the way forward was left
};

struct NodeRow {
  std::string name;
  v1::Role role = v1::ROLE_UNSPECIFIED;
  core::Phase phase = core::Phase::kPending;
  Standing standing = Standing::kPending;
  std::string version;  // what it runs, as far as known; "unknown"
  std::string note;     // how far it is, what it waits for, or why it failed
  v1::Reason reason;    // the same, typed; code 0: none
  bool ours = false;    // carries a cordon of this rollout
};

enum class Headline : uint8_t { kRunning, kPausing, kPaused, kAborting, kEnded };

struct Model {
  std::string rollout;
  v1::Plan::Kind kind = v1::Plan::UPGRADE;
  std::string cluster;
  std::string from;
  std::string to;
  std::string holder;
  Headline headline = Headline::kRunning;
  v1::RolloutEnded::Result result = v1::RolloutEnded::RESULT_UNSPECIFIED;
  v1::Reason reason;  // why it stopped or was compensated; code 0: none
  int64_t created_ms = 0;
  int64_t elapsed_ms = 0;
  bool past_return = false;
  int64_t lost_since_ms = 0;  // the datastore went back to a backup of then; 0: it did not
  std::vector<StepRow> steps;
  std::vector<NodeRow> nodes;
  std::string held_node;         // "" when the whole rollout is held, or nothing is
  std::vector<v1::Reason> held;  // why nothing moves
  std::vector<core::Backup> backups;
};

// `now_ms`: wall time. The state has to have been created.
Model BuildModel(const core::State& state, const Telemetry& telemetry, int64_t now_ms);

// "running", "pausing", "paused", "aborting", "succeeded", "compensated", "stopped", "refused".
std::string HeadlineWord(const Model& model);

}  // namespace k3saga::view
