#include "coordinator/control/control_client.h"

#include <absl/strings/str_cat.h>

#include <optional>

#include "common/status_macros.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/hops.h"
#include "coordinator/cli/prompt.h"
#include "coordinator/cli/rollout_runner.h"
#include "coordinator/core/saga.h"
#include "coordinator/journal/sqlite_journal.h"

namespace k3saga::cli {
namespace {

// The process that runs a rollout of this cluster now, if there is one.
struct Running {
  journal::Holder holder;
  std::string rollout;
};

absl::StatusOr<std::optional<Running>> FindRunning(const std::string& journal_path) {
  auto holder = journal::SqliteJournal::WhoWrites(journal_path);
  if (absl::IsNotFound(holder.status())) return std::optional<Running>();
  if (!holder.ok()) return holder.status();
  if (!*holder || !(*holder)->alive || (*holder)->socket.empty()) return std::optional<Running>();
  control::ControlClient client((*holder)->socket);
  auto about = client.About();
  if (absl::IsUnavailable(about.status())) return std::optional<Running>();  // it is just leaving
  if (!about.ok()) return about.status();
  return std::optional<Running>({**holder, about->rollout()});
}

ExitCode Send(const Context& context, const Running& running, v1::CommandReceived::Command command,
              const std::string& said) {
  control::ControlClient client(running.holder.socket);
  auto reply = client.Command(command, journal::ThisProcess().who);
  if (!reply.ok()) return Failure(context, reply.status());
  if (!reply->accepted()) return Failure(context, absl::FailedPreconditionError(reply->message()));
  context.console.Out(absl::StrCat("Rollout ", running.rollout, ": ", said, "\n"));
  return ExitCode::kDone;
}

absl::StatusOr<std::string> JournalOf(const Context& context) {
  auto file = config::LoadClusterFile(context.cluster_file);
  if (!file.ok()) return file.status();
  auto folder = StateFolder(file->name);
  if (!folder.ok()) return folder.status();
  return JournalPath(*folder);
}

// Nobody runs it: this process does.
ExitCode RunHere(const Context& context, const std::string& asked, Continue how) {
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  const std::string path = JournalPath((*session)->state_folder());
  if (auto known = journal::SqliteJournal::OpenToRead(path); absl::IsNotFound(known.status())) {
    return InputError(context, absl::NotFoundError("no rollout yet"));
  }
  auto journal = journal::SqliteJournal::OpenToWrite(path, journal::ThisProcess());
  if (!journal.ok()) return Failure(context, journal.status());
  auto chain = FindOpenChain(**journal);
  if (!chain.ok()) return Failure(context, chain.status());
  if (!chain->empty() && how != Continue::kAbort && (asked.empty() || asked == *chain)) {
    return RunLaterHops(context, **session, **journal, *chain);
  }
  auto rollout = ChooseRollout(**journal, asked, /*ended_too=*/false);
  if (!rollout.ok()) return InputError(context, rollout.status());
  const ExitCode code = ContinueRollout(context, **session, **journal, *rollout, how);
  return code == ExitCode::kDone ? RunLaterHops(context, **session, **journal, *rollout) : code;
}

// What was cut off: neither ended nor paused by a person. Otherwise what there is to say of it.
struct CutOff {
  bool found = false;
  std::string otherwise;
};

absl::StatusOr<CutOff> FindCutOff(const std::string& journal_path) {
  auto journal = journal::SqliteJournal::OpenToRead(journal_path);
  if (absl::IsNotFound(journal.status())) return CutOff{false, "No rollout yet."};
  if (!journal.ok()) return journal.status();
  K3SAGA_ASSIGN_OR_RETURN(const std::string chain, FindOpenChain(**journal));
  if (!chain.empty()) return CutOff{true, ""};
  const auto rollout = ChooseRollout(**journal, "", /*ended_too=*/false);
  if (absl::IsNotFound(rollout.status())) return CutOff{false, "No rollout is unfinished."};
  if (!rollout.ok()) return rollout.status();
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<v1::Event> events, (*journal)->Read(*rollout));
  core::State state;
  for (const v1::Event& event : events) K3SAGA_RETURN_IF_ERROR(core::Apply(event, state));
  if (!state.paused) return CutOff{true, ""};
  return CutOff{false, absl::StrCat("Rollout ", *rollout, " was paused by ", state.commanded_by,
                                    "; `k3saga resume` goes on with it.")};
}

// For a service that starts with its machine: a success, also where nothing is to be done.
ExitCode RunUnattended(const Context& context, const std::string& journal_path,
                       const std::optional<Running>& running) {
  if (running) {
    context.console.Out(
        absl::StrCat("Rollout ", running->rollout, " is run by ", journal::Describe(running->holder), ".\n"));
    return ExitCode::kDone;
  }
  auto cut_off = FindCutOff(journal_path);
  if (!cut_off.ok()) return Failure(context, cut_off.status());
  if (cut_off->found) return RunHere(context, "", Continue::kResume);
  context.console.Out(absl::StrCat(cut_off->otherwise, "\n"));
  return ExitCode::kDone;
}

bool IsAnother(const std::optional<Running>& running, const std::string& asked) {
  return running && !asked.empty() && asked != running->rollout;
}

ExitCode AnotherRuns(const Context& context, const Running& running) {
  return InputError(
      context, absl::FailedPreconditionError(absl::StrCat("rollout ", running.rollout, " is running, by ",
                                                          journal::Describe(running.holder))));
}

}  // namespace

ExitCode Run(const PauseCommand&, const Context& context) {
  auto path = JournalOf(context);
  if (!path.ok()) return InputError(context, path.status());
  auto running = FindRunning(*path);
  if (!running.ok()) return Failure(context, running.status());
  if (*running) {
    return Send(context, **running, v1::CommandReceived::PAUSE,
                "pausing; nothing new is started, what runs is let finish.");
  }
  return InputError(
      context, absl::NotFoundError("no process runs a rollout of this cluster, so nothing new is started; "
                                   "`k3saga status` says where it stands"));
}

ExitCode Run(const ResumeCommand& command, const Context& context) {
  auto path = JournalOf(context);
  if (!path.ok()) return InputError(context, path.status());
  auto running = FindRunning(*path);
  if (!running.ok()) return Failure(context, running.status());
  if (command.unattended) return RunUnattended(context, *path, *running);
  if (IsAnother(*running, command.rollout)) return AnotherRuns(context, **running);
  if (*running) {
    return Send(context, **running, v1::CommandReceived::RESUME,
                absl::StrCat("goes on, in ", journal::Describe((*running)->holder),
                             ". `k3saga status --watch` follows it."));
  }
  return RunHere(context, command.rollout, command.take_over ? Continue::kTakeOver : Continue::kResume);
}

ExitCode Run(const AbortCommand& command, const Context& context) {
  if (!command.yes) {
    if (!context.console.stdin_is_terminal()) {
      return InputError(context,
                        absl::InvalidArgumentError("nobody to ask: stdin is not a terminal; give --yes"));
    }
    if (!Confirm(context.console,
                 "Abort? Nodes that moved stay as they are, and the rollout cannot be resumed.")) {
      context.console.Note("Nothing was done.\n");
      return ExitCode::kDone;
    }
  }
  auto path = JournalOf(context);
  if (!path.ok()) return InputError(context, path.status());
  auto running = FindRunning(*path);
  if (!running.ok()) return Failure(context, running.status());
  if (IsAnother(*running, command.rollout)) return AnotherRuns(context, **running);
  if (*running) {
    return Send(context, **running, v1::CommandReceived::ABORT,
                "aborting; what runs is let finish, our cordons are undone.");
  }
  return RunHere(context, command.rollout, Continue::kAbort);
}

}  // namespace k3saga::cli
