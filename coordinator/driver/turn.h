#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "coordinator/core/state.h"
#include "k3saga/v1/event.pb.h"

// The pure half of a turn. What is folded here must be durable before anything follows from it.
namespace k3saga::driver {

using Decider = std::function<std::vector<v1::Event>(const core::State&)>;

// Stamps `event`, folds it and appends it to `log`. An error leaves both as they were.
absl::Status FoldOne(v1::Event event, int64_t now_unix_ms, core::State& state, std::vector<v1::Event>& log);

// Folds what `decide` answers, and asks again, until it answers nothing more. kInternal when an answer does
// not fold or there is no end to them: the state is of no use then.
absl::Status DecideToTheEnd(const Decider& decide, int64_t now_unix_ms, core::State& state,
                            std::vector<v1::Event>& log);

}  // namespace k3saga::driver
