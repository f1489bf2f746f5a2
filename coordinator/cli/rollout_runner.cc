#include "coordinator/cli/rollout_runner.h"

#include <absl/strings/str_cat.h>

#include <cstdlib>
#include <optional>
#include <random>
#include <utility>

#include "common/host/files.h"
#include "common/reason.h"
#include "common/status_macros.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/presenter.h"
#include "coordinator/control/control_server.h"
#include "coordinator/control/socket_path.h"
#include "coordinator/core/saga.h"
#include "coordinator/driver/adopting.h"
#include "coordinator/driver/driver.h"
#include "coordinator/driver/identity.h"
#include "coordinator/driver/standing.h"
#include "coordinator/view/model.h"

namespace k3saga::cli {
namespace {

std::string RuntimeFolder() {
  const char* folder = std::getenv("XDG_RUNTIME_DIR");
  return folder == nullptr ? "" : folder;
}

// One rollout in this process, put together and run.
class Runner {
 public:
  Runner(const Context& context, Session& session, journal::SqliteJournal& journal,
         const std::string& rollout)
      : context_(context),
        session_(session),
        journal_(journal),
        rollout_(rollout),
        presenter_(MakePresenter(context.output, context.console, session.loop(), context.clock)) {}

  // Before Start or Resume: the socket, and the driver that it serves.
  absl::Status PutTogether() {
    K3SAGA_ASSIGN_OR_RETURN(std::string socket,
                            control::PrepareSocketPath(RuntimeFolder(), session_.state_folder(), rollout_));
    K3SAGA_ASSIGN_OR_RETURN(control_, control::ControlServer::Listen(session_.loop(), socket));
    K3SAGA_RETURN_IF_ERROR(journal_.Announce(socket));
    driver::Services services{.loop = session_.loop(),
                              .clock = context_.clock,
                              .journal = journal_,
                              .fleet = session_.fleet(),
                              .random = [this] { return std::uniform_int_distribution<uint64_t>()(random_); },
                              .decide = [](const core::State& state) { return core::Decide(state); },
                              .release_cache = session_.release_cache()};
    driver_ = std::make_unique<driver::Driver>(
        std::move(services), std::vector<driver::Observer*>{presenter_.get(), control_.get()},
        [this](const driver::Finish& finish) {
          finish_ = finish;
          session_.loop().Stop();
        });
    control_->Serve(driver_.get());
    return absl::OkStatus();
  }

  driver::Driver& driver() { return *driver_; }
  Presenter& presenter() { return *presenter_; }

  ExitCode RunToEnd() {
    Interrupts interrupts(session_.loop());
    while (!finish_) {
      session_.loop().Run();
      if (finish_) break;
      const Interrupts::Asked asked = interrupts.Take();
      if (asked == Interrupts::Asked::kPause) Pause();
      if (asked == Interrupts::Asked::kLeave) return Leave();
    }
    presenter_->Finish();
    switch (finish_->how) {
      case driver::Finish::How::kEnded:
        return ExitCodeOf(driver_->state());
      case driver::Finish::How::kPaused:
        SayHowToResume("Paused; nothing is running any more.");
        return ExitCode::kPaused;
      case driver::Finish::How::kFailed:
        context_.console.Error(std::string(finish_->error.message()));
        SayHowToResume("The rollout is not finished; it stands where its journal says.");
        return ExitCode::kPaused;
    }
    return ExitCode::kFailed;
  }

  // The socket has to go before the driver, and nothing may be heard of a driver that is gone.
  ~Runner() {
    if (control_ != nullptr) control_->Serve(nullptr);
    control_.reset();
    driver_.reset();
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

 private:
  void Pause() {
    presenter_->Say("Pausing: nothing new is started, what runs is let finish. Ctrl-C again leaves at once.");
    presenter_->Say(absl::StrCat("Resume with: ", ResumeLine()));
    driver_->Command(v1::CommandReceived::PAUSE, journal::ThisProcess().who,
                     [this](const absl::Status& status) {
                       if (!status.ok())
                         presenter_->Say(absl::StrCat("cannot pause: ", std::string(status.message())));
                     });
  }
  // As if it were killed, with a word: the journal says no more than that this process was at work.
  ExitCode Leave() {
    presenter_->Finish();
    SayHowToResume("Leaving: nothing new is started, agents finish what they were told.");
    return ExitCode::kPaused;
  }
  std::string ResumeLine() const {
    return absl::StrCat("k3saga -f ", session_.file().path, " resume ", rollout_);
  }
  void SayHowToResume(std::string_view why) const {
    context_.console.Note(absl::StrCat(std::string(why), " Resume with: ", ResumeLine(), "\n"));
  }

  const Context& context_;
  Session& session_;
  journal::SqliteJournal& journal_;
  const std::string rollout_;
  std::random_device random_;
  std::unique_ptr<Presenter> presenter_;
  std::unique_ptr<control::ControlServer> control_;
  std::unique_ptr<driver::Driver> driver_;
  std::optional<driver::Finish> finish_;
};

ExitCode Fail(const Context& context, const absl::Status& status) {
  context.console.Error(std::string(status.message()));
  return ExitCode::kFailed;
}

ExitCode Refuse(const Context& context, std::vector<v1::Reason> refusals) {
  core::PlanOutcome outcome;
  outcome.refusals = std::move(refusals);
  return PrintRefusal(context, outcome);
}

// It goes on, or ended, elsewhere: only this journal has to hear of it.
ExitCode EndForUs(const Context& context, journal::Journal& journal, const std::string& rollout,
                  const v1::Reason& held) {
  const v1::Reason reason = MakeReason(v1::STALE_EPOCH, held.subject(), held.detail());
  if (auto status = driver::EndHere(journal, rollout, reason, context.clock.WallUnixMillis()); !status.ok())
    return Fail(context, status);
  context.console.Out(
      absl::StrCat("Rollout ", rollout,
                   " has ended for this machine; no agent was asked for anything: ", Describe(reason), "\n"));
  return ExitCode::kFailed;
}

driver::Adopting::Result FenceAndLook(Session& session, driver::Adopting::Job job) {
  driver::Adopting::Result result;
  const driver::Adopting adopting(session.fleet(), std::move(job), [&](driver::Adopting::Result heard) {
    result = std::move(heard);
    session.loop().Stop();
  });
  session.loop().Run();
  return result;
}

}  // namespace

ExitCode ExitCodeOf(const core::State& state) {
  if (!state.ended()) return ExitCode::kPaused;
  switch (state.result) {
    case v1::RolloutEnded::SUCCEEDED:
      return ExitCode::kDone;
    case v1::RolloutEnded::REFUSED:
      return ExitCode::kRefused;
    default:
      return ExitCode::kFailed;
  }
}

ExitCode StartRollout(const Context& context, Session& session, journal::SqliteJournal& journal,
                      const v1::RolloutCreated& created) {
  Runner runner(context, session, journal, created.rollout());
  if (auto status = runner.PutTogether(); !status.ok()) return Fail(context, status);
  if (auto status = runner.driver().Start(created); !status.ok()) return Fail(context, status);
  return runner.RunToEnd();
}

ExitCode ContinueRollout(const Context& context, Session& session, journal::SqliteJournal& journal,
                         const std::string& rollout, Continue how) {
  auto events = journal.Read(rollout);
  if (!events.ok()) return Fail(context, events.status());
  core::State state;
  for (const v1::Event& event : *events) {
    if (auto status = core::Apply(event, state); !status.ok()) return Fail(context, status);
  }
  auto rollouts = journal.List();
  if (!rollouts.ok()) return Fail(context, rollouts.status());
  // Somebody else may have held the cluster since: the agents know.
  const std::vector<v1::NodeFacts> facts = ToFacts(session.GatherFacts(/*obstacles=*/false));
  const uint64_t epoch = driver::NextEpoch(facts, *rollouts);
  if (const auto held = driver::WhoElseHolds(state, facts, journal::ThisProcess().host)) {
    if (how == Continue::kTakeOver)
      return AdoptRollout(context, session, journal, state.roster->created, facts);
    if (how == Continue::kAbort) return EndForUs(context, journal, rollout, *held);
    return Refuse(context, {*held});
  }

  Runner runner(context, session, journal, rollout);
  runner.presenter().SkipUntil(events->size());
  if (auto status = runner.PutTogether(); !status.ok()) return Fail(context, status);
  const std::string who = journal::ThisProcess().who;
  if (auto status = runner.driver().Resume(rollout, who, epoch); !status.ok()) return Fail(context, status);
  if (how == Continue::kAbort) {
    runner.driver().Command(v1::CommandReceived::ABORT, who, [&context](const absl::Status& status) {
      if (!status.ok()) context.console.Error(std::string(status.message()));
    });
  }
  return runner.RunToEnd();
}

ExitCode AdoptRollout(const Context& context, Session& session, journal::SqliteJournal& journal,
                      const v1::RolloutCreated& created, const std::vector<v1::NodeFacts>& facts) {
  auto rollouts = journal.List();
  if (!rollouts.ok()) return Fail(context, rollouts.status());
  driver::Adopting::Job job;
  job.created = created;
  for (const config::ClusterNode& node : session.file().nodes) job.nodes.push_back(node.name);
  job.holder = journal::ThisProcess().who;
  job.epoch = driver::NextEpoch(facts, *rollouts);
  driver::Adopting::Result found = FenceAndLook(session, job);
  if (!found.refusals.empty()) return Refuse(context, std::move(found.refusals));
  core::Adoption adoption = core::Adopt(created, found.reports, job.holder, job.epoch + 1);
  if (!adoption.refusals.empty()) return Refuse(context, std::move(adoption.refusals));

  Runner runner(context, session, journal, created.rollout());
  for (const journal::RolloutSummary& known : *rollouts) {
    if (known.rollout == created.rollout()) runner.presenter().SkipUntil(known.events);
  }
  if (auto status = runner.PutTogether(); !status.ok()) return Fail(context, status);
  if (auto status = runner.driver().Adopt(created, adoption.adopted); !status.ok())
    return Fail(context, status);
  return runner.RunToEnd();
}

}  // namespace k3saga::cli
