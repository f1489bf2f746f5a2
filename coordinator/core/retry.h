#pragma once

#include <cstdint>

#include "coordinator/core/state.h"

// What an operation's outcome means for whoever asked: the one place that knows which failures pass.
namespace k3saga::core {

enum class Next : uint8_t {
  kDone,
  kRetry,   // a new attempt, after a pause
  kGiveUp,  // attempts are spent, or another one could not help
  kFenced,  // another coordinator is current: this one may do nothing more
};

// `attempts`: how often that verb was asked of that node since it last succeeded, this one included.
Next Classify(Verb verb, const v1::Outcome& outcome, uint32_t attempts);

// Attempts of the ways out that nothing may wait for for ever.
bool Exhausted(const NodeState& node, Verb verb);

// Its agent was asked often enough and never acknowledged the current (epoch, holder).
bool ClaimGivenUp(const NodeState& node);

// Before attempt number `attempts` + 1: 1 s, 2 s, 4 s, ... up to 30 s.
uint32_t RetryPauseMs(uint32_t attempts);

}  // namespace k3saga::core
