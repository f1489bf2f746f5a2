#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "coordinator/cli/rollout_runner.h"
#include "coordinator/cli/session.h"
#include "coordinator/journal/sqlite_journal.h"

// Several minor versions in one verb: a chain of rollouts.
namespace k3saga::cli {

// Every version on the way from what runs to `target`, the target last; one entry when one rollout is enough.
// The patch of a minor in between is what `options.via` says, else the newest that the release list has: a
// folder of releases on this machine, or (with --multi-hop) the channel server's channel of that minor;
// "v1.32.x" where nobody decided it and nothing is to be done with it. kInvalidArgument, or kNotFound naming
// --via.
absl::StatusOr<std::vector<std::string>> FindHops(const config::ClusterFile& file,
                                                  const std::vector<v1::NodeFacts>& facts,
                                                  const std::string& target, const HopOptions& options);

// More than one hop is not gone without being asked for: shows what each would do, and refuses.
ExitCode RefuseHops(const Context& context, const core::PlanRequest& request,
                    const std::vector<v1::NodeFacts>& facts, const std::vector<std::string>& hops);

// The plan for the first of `hops`, the others in later_hops; refused, too, when a later hop is known to be.
core::PlanOutcome PlanHops(core::PlanRequest request, const std::vector<v1::NodeFacts>& facts,
                           const std::vector<std::string>& hops);

// Runs the hops that follow `rollout`, which has succeeded, one after the other: each planned anew from what
// the agents say then, with its own backup and verification. The exit code of the first that does not
// succeed, else kDone. Without later hops it does nothing.
ExitCode RunLaterHops(const Context& context, Session& session, journal::SqliteJournal& journal,
                      const std::string& rollout);

// The rollout whose later hops are due: the newest of the journal, when it succeeded and something follows
// it.
// "" when there is none.
absl::StatusOr<std::string> FindOpenChain(const journal::Journal& journal);

}  // namespace k3saga::cli
