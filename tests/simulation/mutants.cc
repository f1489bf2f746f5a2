#include "tests/simulation/mutants.h"

#include <algorithm>

namespace k3saga::simulation {
namespace {

void Drop(Mutation& mutation, std::string_view rule) {
  auto& rules = mutation.rules;
  rules.erase(
      std::remove_if(rules.begin(), rules.end(), [&](const core::Rule& each) { return each.name == rule; }),
      rules.end());
}

}  // namespace

const std::vector<Mutant>& AllMutants() {
  static const std::vector<Mutant> kMutants = {
      {"no-quorum-gate", "rule removed", [](Mutation& m) { Drop(m, "quorum-gate"); }},
      {"no-stability-gate", "rule removed", [](Mutation& m) { Drop(m, "stability-gate"); }},
      {"no-fresh-proof", "rule removed", [](Mutation& m) { Drop(m, "proof-fresh"); }},
      {"no-claims", "rule removed", [](Mutation& m) { Drop(m, "claims"); }},
      {"no-unavailable-limit", "rule removed", [](Mutation& m) { Drop(m, "unavailable-limit"); }},
      {"no-canary", "rule removed", [](Mutation& m) { Drop(m, "canary-first"); }},
      {"no-failure-budget", "rule removed", [](Mutation& m) { Drop(m, "failure-budget"); }},
      {"no-leader-move", "rule removed", [](Mutation& m) { Drop(m, "leader-moved"); }},
      {"no-workers-first", "rule removed", [](Mutation& m) { Drop(m, "workers-first"); }},
      {"no-all-stopped", "rule removed", [](Mutation& m) { Drop(m, "all-stopped"); }},
      {"no-restored-first", "rule removed", [](Mutation& m) { Drop(m, "restored-first"); }},
      {"no-members-back", "rule removed", [](Mutation& m) { Drop(m, "members-back"); }},
      {"no-pause", "rule removed", [](Mutation& m) { Drop(m, "not-paused"); }},
      {"no-remedies", "rule removed", [](Mutation& m) { Drop(m, "remedies-applied"); }},
      {"no-external-gate", "rule removed", [](Mutation& m) { Drop(m, "external-gate"); }},
      {"no-one-server", "rule removed", [](Mutation& m) { Drop(m, "one-server"); }},
      // Steps and rules say the same twice: both have to be gone.
      {"no-backup-first", "rule removed, and the step passed over",
       [](Mutation& m) {
         Drop(m, "backup-first");
         m.passes_over = v1::STEP_BACKUP;
       }},
      {"no-servers-first", "rule removed, and the step passed over",
       [](Mutation& m) {
         Drop(m, "servers-first");
         m.passes_over = v1::STEP_UPGRADE_SERVERS;
       }},
      {"no-staged", "rule removed, and the step passed over",
       [](Mutation& m) {
         Drop(m, "staged");
         m.passes_over = v1::STEP_STAGE_RELEASE;
       }},
      {"no-verify", "faulty core: the last step passed over",
       [](Mutation& m) { m.passes_over = v1::STEP_VERIFY; }},
      {"abort-ignored", "faulty driver", [](Mutation& m) { m.ignores_abort = true; }},
      {"adopt-forgets", "faulty driver", [](Mutation& m) { m.adopts_forgetful = true; }},
      {"dispatch-before-commit", "faulty driver", [](Mutation& m) { m.dispatches_before_commit = true; }},
      {"timeout-is-failure", "faulty driver", [](Mutation& m) { m.timeouts_are_failures = true; }},
      {"mixed-probe-rounds", "faulty driver", [](Mutation& m) { m.mixes_probe_rounds = true; }},
      {"skipped-backup", "faulty driver", [](Mutation& m) { m.skips_backup = true; }},
      {"uncommitted-inputs", "faulty driver", [](Mutation& m) { m.forgets_to_commit_inputs = true; }},
      {"agent-starts-twice", "faulty agent", [](Mutation& m) { m.agent_starts_twice = true; }},
      {"agent-ignores-epochs", "faulty agent", [](Mutation& m) { m.agent_ignores_epochs = true; }},
      {"agent-forgets-journal", "faulty agent", [](Mutation& m) { m.agent_forgets_journal = true; }},
      {"agent-takes-foreign-cordons", "faulty agent",
       [](Mutation& m) { m.agent_takes_foreign_cordons = true; }},
      {"agent-skips-last-check", "faulty agent", [](Mutation& m) { m.agent_skips_last_check = true; }},
      {"agent-does-not-halt", "faulty agent", [](Mutation& m) { m.agent_does_not_halt = true; }},
      {"agent-keeps-nothing", "faulty agent", [](Mutation& m) { m.agent_keeps_nothing = true; }},
  };
  return kMutants;
}

const Mutant* FindMutant(std::string_view name) {
  for (const Mutant& mutant : AllMutants()) {
    if (mutant.name == name) return &mutant;
  }
  return nullptr;
}

}  // namespace k3saga::simulation
