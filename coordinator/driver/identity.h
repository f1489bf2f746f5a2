#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/journal/journal.h"
#include "k3saga/v1/facts.pb.h"

namespace k3saga::driver {

// "20260131-142507-4f2a": UTC, then four hex digits of `random`. Sorts by time.
std::string MakeRolloutId(int64_t unix_ms, uint64_t random);

// Higher than every epoch that the agents' claims and this machine's journal know of. Epochs only grow.
uint64_t NextEpoch(const std::vector<v1::NodeFacts>& facts,
                   const std::vector<journal::RolloutSummary>& rollouts);

}  // namespace k3saga::driver
