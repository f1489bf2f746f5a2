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

// Goes on with one of the journal. With `abort`, to end it.
ExitCode ContinueRollout(const Context& context, Session& session, journal::SqliteJournal& journal,
                         const std::string& rollout, bool abort);

// What a rollout's state means as an exit code.
ExitCode ExitCodeOf(const core::State& state);

}  // namespace k3saga::cli
