#pragma once

#include <string_view>
#include <vector>

#include "coordinator/core/rules/rule.h"

// Faulty versions of the system: the rules without one entry, a faulty driver, a faulty agent. The simulation
// has to catch each of them.
namespace k3saga::simulation {

struct Mutation {
  core::RuleTable rules = core::AllRules();

  bool dispatches_before_commit = false;
  bool timeouts_are_failures = false;  // "did not answer" taken for "did not act"
  bool mixes_probe_rounds = false;     // takes late answers of an earlier round
  bool skips_backup = false;           // settles it without asking anybody
  bool forgets_to_commit_inputs = false;
  bool ignores_abort = false;
  v1::Step passes_over = v1::STEP_UNSPECIFIED;  // this step, as if it were done
  bool adopts_forgetful = false;                // takes every node for untouched

  bool agent_starts_twice = false;  // a known operation is started, not attached to
  bool agent_ignores_epochs = false;
  bool agent_forgets_journal = false;  // nothing is durable
  bool agent_takes_foreign_cordons = false;
  bool agent_skips_last_check = false;
  bool agent_does_not_halt = false;  // says that k3s is stopped, and lets it run
  bool agent_keeps_nothing = false;  // put-backs restore the new binary
};

struct Mutant {
  std::string_view name;
  std::string_view what;
  void (*apply)(Mutation&);
};
const std::vector<Mutant>& AllMutants();
const Mutant* FindMutant(std::string_view name);

}  // namespace k3saga::simulation
