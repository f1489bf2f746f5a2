#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "coordinator/cli/session.h"
#include "coordinator/journal/journal.h"

// Backups on their nodes, and on this machine (backup.copy_to) where those stand in for them.
namespace k3saga::cli {

// As whom a command beside all rollouts speaks with agents: `name` tells it from others.
v1::Authority AuthorityForBackup(const std::vector<view::NodeAnswer>& answers,
                                 const std::vector<journal::RolloutSummary>& rollouts,
                                 const std::string& name);

// The node's agent reads all of the backup: kDataLoss says what is wrong with it.
absl::Status VerifyBackupOn(Session& session, const std::string& node, const std::string& id);

// The facts of all nodes, as a way back from the first of these backups is planned by them. Where no server
// has that backup (any more), or what it has is damaged, and a whole copy lies here, a server counts as
// having it: the one that took it, else the first that answers; that is said. Reads only: the rollout brings
// the copy there (driver::BackupAtHand). kDataLoss: the copy is damaged, too.
absl::StatusOr<std::vector<v1::NodeFacts>> FactsWithCopy(const Context& context, Session& session,
                                                         const std::vector<std::string>& backups);

}  // namespace k3saga::cli
