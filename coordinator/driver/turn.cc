#include "coordinator/driver/turn.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "common/status_macros.h"
#include "coordinator/core/saga.h"

namespace k3saga::driver {
namespace {

// Each round issues everything that may be issued: even thousands of nodes take a few.
constexpr int kMostRounds = 1'000;

}  // namespace

absl::Status FoldOne(v1::Event event, int64_t now_unix_ms, core::State& state, std::vector<v1::Event>& log) {
  event.set_unix_ms(now_unix_ms);
  K3SAGA_RETURN_IF_ERROR(core::Apply(event, state));
  log.push_back(std::move(event));
  return absl::OkStatus();
}

absl::Status DecideToTheEnd(const Decider& decide, int64_t now_unix_ms, core::State& state,
                            std::vector<v1::Event>& log) {
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<v1::Event> next = decide(state);
    if (next.empty()) return absl::OkStatus();
    for (v1::Event& event : next) {
      if (absl::Status status = FoldOne(std::move(event), now_unix_ms, state, log); !status.ok()) {
        return absl::InternalError(absl::StrCat("the decision for event ", state.events + 1,
                                                " does not fold: ", std::string(status.message())));
      }
    }
  }
  return absl::InternalError(absl::StrCat("deciding did not end after ", kMostRounds, " rounds"));
}

}  // namespace k3saga::driver
