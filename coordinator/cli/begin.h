#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <vector>

#include "coordinator/cli/exit_code.h"
#include "coordinator/cli/session.h"
#include "coordinator/journal/sqlite_journal.h"

// What every command that begins a rollout does around its plan.
namespace k3saga::cli {

struct Beginning {
  std::unique_ptr<journal::SqliteJournal> journal;  // ours to write
  std::vector<journal::RolloutSummary> rollouts;    // so far, newest first
};

// The right to write first: whoever is second learns so before any question. CLUSTER_HELD (a typed reason)
// when another process has it, or a rollout of this cluster is not finished.
absl::StatusOr<Beginning> OpenToBegin(const Session& session);

// Says why, and how the process ends: refused where the cluster is held, failed otherwise.
ExitCode NotBegun(const Context& context, const absl::Status& status);

// The first event of a rollout by `plan`.
v1::RolloutCreated MakeCreated(const Context& context, const v1::Plan& plan,
                               const std::vector<v1::NodeFacts>& facts,
                               const std::vector<journal::RolloutSummary>& rollouts);

// Runs the plan as a new rollout, in this process, to its end; and the hops that follow it.
ExitCode BeginRollout(const Context& context, Session& session, Beginning& begin, const v1::Plan& plan,
                      const std::vector<v1::NodeFacts>& facts);

}  // namespace k3saga::cli
