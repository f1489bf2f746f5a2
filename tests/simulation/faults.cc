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
  };
  return kNames[static_cast<size_t>(fault)];
}

}  // namespace k3saga::simulation
