#include "tests/simulation/faults.h"

namespace k3saga::simulation {

std::string_view Name(Fault fault) {
  static constexpr std::string_view kNames[kFaults] = {
      "message lost",
      "message doubled",
      "message delayed",
      "node cut off",
      "coordinator killed",
      "killed before commit",
      "killed after commit",
      "agent killed",
      "agent killed after effect",
      "operation killed",
      "node rebooted",
      "agent journal lost",
      "installer fails",
      "release never ready",
      "effect hangs",
      "effect fails",
      "staging fails",
      "drain blocked",
      "untouched server crashes",
      "etcd member alarm",
      "user pauses",
      "user aborts",
      "user cordons",
      "user's gate closed",
      "takeover",
      "takeover of one that runs on",
      "coordinator and its journal lost",
      "wall clock jumps",
      "stale health",
      "agent journal pruned",
      "drain waits for a budget",
  };
  return kNames[static_cast<size_t>(fault)];
}

std::optional<Fault> FaultNamed(std::string_view name) {
  for (size_t i = 0; i < kFaults; ++i) {
    if (Name(static_cast<Fault>(i)) == name) return static_cast<Fault>(i);
  }
  return std::nullopt;
}

}  // namespace k3saga::simulation
