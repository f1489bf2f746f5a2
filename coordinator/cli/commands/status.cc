#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "common/status_macros.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/presenter.h"
#include "coordinator/cli/rollout_runner.h"
#include "coordinator/control/control_client.h"
#include "coordinator/core/saga.h"
#include "coordinator/journal/sqlite_journal.h"
#include "coordinator/view/json.h"
#include "coordinator/view/rollout_text.h"

namespace k3saga::cli {
namespace {

// What the journal, and the lock beside it, say of one rollout.
struct Known {
  core::State state;
  uint64_t events = 0;
  std::optional<journal::Holder> runner;  // alive: runs a rollout of this cluster now
};

absl::StatusOr<Known> Look(const Context& context, const std::string& asked) {
  K3SAGA_ASSIGN_OR_RETURN(config::ClusterFile file, config::LoadClusterFile(context.cluster_file));
  K3SAGA_ASSIGN_OR_RETURN(std::string folder, StateFolder(file.name));
  const std::string path = JournalPath(folder);
  auto journal = journal::SqliteJournal::OpenToRead(path);
  if (absl::IsNotFound(journal.status())) return absl::NotFoundError("no rollout yet");
  if (!journal.ok()) return journal.status();
  K3SAGA_ASSIGN_OR_RETURN(std::string rollout, ChooseRollout(**journal, asked, /*ended_too=*/true));
  K3SAGA_ASSIGN_OR_RETURN(std::vector<v1::Event> events, (*journal)->Read(rollout));
  Known known;
  for (const v1::Event& event : events) K3SAGA_RETURN_IF_ERROR(core::Apply(event, known.state));
  known.events = events.size();
  K3SAGA_ASSIGN_OR_RETURN(known.runner, journal::SqliteJournal::WhoWrites(path));
  return known;
}

bool RunsNow(const Known& known) { return !known.state.ended() && known.runner && known.runner->alive; }

void Print(const Context& context, const Known& known) {
  const view::Model model = view::BuildModel(known.state, {}, context.clock.WallUnixMillis());
  if (context.json()) {
    nlohmann::ordered_json json = view::RolloutJson(model);
    json["run_by"] =
        RunsNow(known) ? nlohmann::ordered_json(known.runner->who) : nlohmann::ordered_json(nullptr);
    context.console.Out(view::ToPage(json));
    return;
  }
  context.console.Out(view::RolloutPage(model, context.console.PageStyle()));
  context.console.Out(view::Conclusion(model));
  if (RunsNow(known)) {
    context.console.Out(absl::StrCat("Run by ", journal::Describe(*known.runner), ".\n"));
  } else if (!known.state.ended()) {
    context.console.Out(absl::StrCat("No process runs it. Go on with: k3saga -f ", context.cluster_file,
                                     " resume ", model.rollout, "\n"));
  }
}

// Follows a running rollout through its socket: the same fold and the same presenters as in its own process.
class Watcher {
 public:
  Watcher(const Context& context, const std::string& socket, uint64_t history)
      : client_(socket), presenter_(MakePresenter(context.output, context.console, loop_, context.clock)) {
    presenter_->SkipUntil(history);
  }

  // Until it ends, its process leaves, or Ctrl-C.
  ExitCode Follow() {
    Interrupts interrupts(loop_);
    std::thread reader([this] {
      absl::Status ended = client_.Watch(0, [this](const v1::WatchReply& reply) {
        if (leaving_) return false;
        loop_.Post([this, reply] { Hear(reply); });
        return true;
      });
      loop_.Post([this, ended] { loop_.Stop(); });
    });
    loop_.Run();
    if (interrupts.Take() != Interrupts::Asked::kNothing) {
      // The reader sits in a call that only the other side ends: leave without it. The rollout goes on.
      presenter_->Finish();
      reader.detach();
      _exit(static_cast<int>(ExitCode::kPaused));
    }
    leaving_ = true;
    reader.join();
    presenter_->Finish();
    return ExitCodeOf(state_);
  }

 private:
  void Hear(const v1::WatchReply& reply) {
    if (reply.has_progress()) {
      presenter_->OnProgress(reply.progress().sequence(), reply.progress().node(),
                             reply.progress().progress());
      return;
    }
    if (!core::Apply(reply.event(), state_).ok()) {
      loop_.Stop();  // a newer k3saga runs it: what it does cannot be shown
      return;
    }
    presenter_->OnEvents(state_.events, {reply.event()}, state_);
    if (state_.ended()) loop_.Stop();
  }

  EventLoop loop_;
  control::ControlClient client_;
  std::unique_ptr<Presenter> presenter_;
  core::State state_;
  std::atomic<bool> leaving_{false};
};

}  // namespace

ExitCode Run(const StatusCommand& command, const Context& context) {
  auto known = Look(context, command.rollout);
  if (!known.ok()) return InputError(context, known.status());
  if (!command.watch) {
    Print(context, *known);
    return ExitCode::kDone;
  }
  if (!RunsNow(*known) || known->runner->socket.empty()) {
    Print(context, *known);
    return ExitCodeOf(known->state);
  }
  Watcher watcher(context, known->runner->socket, known->events);
  return watcher.Follow();
}

}  // namespace k3saga::cli
