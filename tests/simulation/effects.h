#pragma once

#include <optional>

#include "agent/operations/machine.h"

namespace k3saga::simulation {

class World;

// How long the effect of a phase takes, at least.
int64_t DurationMs(World& world, operations::Phase phase);

// Makes true on the virtual node what record.phase stands for, and says what it came to; nullopt: not yet,
// ask again after a while. Idempotent, as real effects are.
std::optional<operations::EffectResult> Perform(World& world, int node, const operations::Record& record);

}  // namespace k3saga::simulation
