#pragma once

#include <string>

#include "coordinator/cli/exit_code.h"
#include "coordinator/cli/session.h"
#include "coordinator/core/state.h"
#include "coordinator/journal/sqlite_journal.h"
#include "k3saga/v1/event.pb.h"

namespace k3saga::cli {

// Runs a rollout in this process until it ends, is paused, or is interrupted twice: driver, control socket,
// view. `journal` is open for writing.
ExitCode StartRollout(const Context& context, Session& session, journal::SqliteJournal& journal,
                      const v1::RolloutCreated& created);

enum class Continue : uint8_t {
  kResume,
  kTakeOver,  // also when another machine holds it
  kAbort,     // to end it; what another machine holds ends in this journal only
};
// Goes on with one of the journal. kRefused, with who holds it, when another machine does.
ExitCode ContinueRollout(const Context& context, Session& session, journal::SqliteJournal& journal,
                         const std::string& rollout, Continue how);

// Goes on with a rollout that the agents keep (`facts`, as they were just gathered) and of which the journal
// has nothing, or less than has happened since: claims it under a higher epoch, and takes from the agents
// where every node stands.
ExitCode AdoptRollout(const Context& context, Session& session, journal::SqliteJournal& journal,
                      const v1::RolloutCreated& created, const std::vector<v1::NodeFacts>& facts);

// What a rollout's state means as an exit code.
ExitCode ExitCodeOf(const core::State& state);

}  // namespace k3saga::cli
