#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tests/simulation/random.h"

namespace k3saga::simulation {

// Everything that may go wrong, and how often it did: so that nobody believes a quiet simulator.
enum class Fault : uint8_t {
  kMessageLost,
  kMessageDoubled,
  kMessageDelayed,      // by seconds, past others: reordered
  kCutOff,              // one node's network, for up to minutes
  kCoordinatorKilled,   // between two events
  kKilledBeforeCommit,  // what was decided is gone
  kKilledAfterCommit,   // what was decided was not yet asked of anybody
  kAgentKilled,
  kKilledAfterEffect,  // the effect took place and was never recorded
  kOperationKilled,    // the transient unit of an install
  kNodeRebooted,
  kJournalLost,  // an agent's, with its claim
  kInstallerFails,
  kNeverReady,  // the release does not come up on that node
  kEffectHangs,
  kEffectFails,
  kStageFails,
  kDrainBlocked,
  kServerCrashes,  // one that nobody touched
  kMemberAlarm,
  kUserPauses,
  kUserAborts,
  kUserCordons,
  kGateClosed,        // the user's: alerts fire for a while
  kTakeover,          // by another machine that has no journal; the first coordinator wakes up later
  kTakeoverOfLiving,  // the same, while the first one runs on
  kCoordinatorLost,   // with its journal: adopted from what the agents keep
  kClockJumps,        // wall clocks, by hours, both ways
  kStaleHealth,       // a proof that is older than its question
  kJournalPruned,     // an agent forgets what was settled
  kBudgetWaits,       // a drain waits for a disruption budget: no fault, but it has to happen
};
inline constexpr size_t kFaults = 31;
std::string_view Name(Fault fault);
// The fault of that name; nullopt: none is called so.
std::optional<Fault> FaultNamed(std::string_view name);

using FaultCounts = std::array<uint64_t, kFaults>;

// Draws faults by the rates of one history; none after `until`.
class Faults {
 public:
  // Per mille at each place where the fault could happen.
  std::array<uint16_t, kFaults> rates = {};
  int64_t until = 0;
  FaultCounts counts = {};

  bool Draw(Fault fault, int64_t now, Random& random) {
    const auto at = static_cast<size_t>(fault);
    if (rates[at] == 0 || now >= until || !random.Chance(rates[at])) return false;
    ++counts[at];
    return true;
  }
  bool Happened(Fault fault) const { return counts[static_cast<size_t>(fault)] != 0; }
  void Note(Fault fault) { ++counts[static_cast<size_t>(fault)]; }
  bool Quiet() const {
    for (size_t i = 0; i < kFaults; ++i) {
      if (counts[i] != 0 && i != static_cast<size_t>(Fault::kBudgetWaits)) return false;
    }
    return true;
  }
};

}  // namespace k3saga::simulation
