#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/agent.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/coordinator.h"
#include "tests/simulation/mutants.h"
#include "tests/simulation/network.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/schedule.h"

namespace k3saga::simulation {

struct Verdict {
  std::string violation;  // empty: none
  uint64_t events = 0;    // processed until then: the shortest failing prefix
  int64_t at_ms = 0;
  uint64_t journaled = 0;  // events of the rollout's journal
  uint64_t digest = 0;     // of that journal
  v1::RolloutEnded::Result result = v1::RolloutEnded::RESULT_UNSPECIFIED;
};

// One history: everything that is in it, and who sees whom.
class World {
 public:
  World(Scenario drawn, const Mutation& faulty, bool tells);

  Verdict Run();

  int64_t gate_closed_since = 0;  // the user's gate
  int64_t gate_closed_until = 0;
  bool GateClosed() const { return schedule.now() < gate_closed_until; }

  bool digests = false;  // costs time: only where histories are compared
  Scenario scenario;
  const Mutation& mutation;
  Random random;
  Schedule schedule;
  Cluster cluster;
  Network network;
  Checker checker;
  std::vector<std::unique_ptr<Agent>> agents;
  std::vector<std::unique_ptr<Coordinator>> coordinators;  // the last one is current

  bool Draw(Fault fault) { return scenario.faults.Draw(fault, schedule.now(), random); }
  Coordinator& current() { return *coordinators.back(); }
  // What clocks on walls show: for people, and decided by nowhere.
  int64_t WallNow() const { return schedule.now() + wall_offset_; }
  // Whoever came to adopt the rollout finds that no agent keeps it: it ended.
  void NothingIsKept() { over_ = true; }
  // A line of the trace; only evaluated when somebody reads it.
  template <typename Line>
  void Tell(Line line) {
    if (tells_) Print(line());
  }

 private:
  void Print(const std::string& line);
  void UserActs();
  bool MayBeAdopted();
  void TakeOver(bool living);
  void LoseCoordinator();
  std::string NextHolder() const { return std::string(1, static_cast<char>('a' + coordinators.size())); }
  void HurtNodes();

  const bool tells_;
  bool over_ = false;
  int64_t wall_offset_ = 0;
};

}  // namespace k3saga::simulation
