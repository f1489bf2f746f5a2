#include "coordinator/view/teller.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <utility>

#include "common/reason.h"
#include "coordinator/view/words.h"

namespace k3saga::view {
namespace {

using Told = Teller::Told;

Told Say(std::string text, Tone tone = Tone::kPlain) { return {{{std::move(text), tone}}, false}; }
Told Shout(std::string text, Tone tone) { return {{{std::move(text), tone}}, true}; }

// Asked of every node: told when it fails only, or a large cluster would print nothing else.
bool IsQuiet(const v1::OperationSpec& spec) {
  switch (spec.verb_case()) {
    case v1::OperationSpec::kClaim:
    case v1::OperationSpec::kReleaseClaim:
    case v1::OperationSpec::kStage:
    case v1::OperationSpec::kDropStaged:
      return true;
    default:
      return false;
  }
}

std::string Because(const v1::Reason& reason) {
  return reason.code() == v1::REASON_UNSPECIFIED ? "" : absl::StrCat(": ", Describe(reason));
}

std::string Gained(const v1::Outcome& outcome) {
  switch (outcome.result_case()) {
    case v1::Outcome::kInstall:
      if (outcome.install().installed_before()) return ": ran it already";
      return absl::StrCat(": runs ", outcome.install().running_version(), ", k3s was down for ",
                          Elapsed(static_cast<int64_t>(outcome.install().down_ms())),
                          outcome.install().changes_size() == 0 ? "" : "; changed as agreed: ",
                          absl::StrJoin(outcome.install().changes(), "; "));
    case v1::Outcome::kBackup:
      // Velero's is an object of this name, with no size of its own; neither has what a command took.
      if (outcome.backup().path().empty()) return absl::StrCat(": ", outcome.backup().id());
      if (outcome.backup().bytes() == 0) return absl::StrCat(": ", outcome.backup().path());
      return absl::StrCat(": ", outcome.backup().path(), " (", Bytes(outcome.backup().bytes()), ")");
    case v1::Outcome::kDrain:
      return absl::StrCat(
          ": ", Counted(outcome.drain().evicted(), "pod"), " evicted",
          outcome.drain().left() > 0 ? absl::StrCat(", ", outcome.drain().left(), " left") : "");
    default:
      return "";
  }
}

std::string Left(v1::Outcome::NodeState state) {
  switch (state) {
    case v1::Outcome::PUT_BACK:
      return "; the node runs again what it ran before";
    case v1::Outcome::BROKEN:
      return "; the node is BROKEN";
    default:
      return "";
  }
}

Told TellFinished(const v1::NodeFinished& finished) {
  switch (finished.result()) {
    case v1::NodeFinished::UPGRADED:
      return Say(absl::StrCat(finished.node(), ": upgraded"), Tone::kGood);
    case v1::NodeFinished::UNCHANGED:
      return Say(absl::StrCat(finished.node(), ": ran the target already"));
    case v1::NodeFinished::PUT_BACK:
      return Shout(absl::StrCat(finished.node(), ": put back", Because(finished.reason())), Tone::kWarning);
    case v1::NodeFinished::RETURNED:
      return Say(absl::StrCat(finished.node(), ": back"), Tone::kGood);
    case v1::NodeFinished::SKIPPED:
      return Say(absl::StrCat(finished.node(), ": skipped", Because(finished.reason())), Tone::kWarning);
    default:
      return Shout(absl::StrCat(finished.node(), ": FAILED", Because(finished.reason())), Tone::kBad);
  }
}

// "rollback of 2026...-4f2a: "; nothing for an upgrade
std::string KindOf(const v1::Plan& plan) {
  if (plan.kind() == v1::Plan::UPGRADE) return "";
  if (plan.kind() == v1::Plan::ROLLBACK) return absl::StrCat("rollback of ", plan.undoes(), ": ");
  return absl::StrCat("restore of backup ", plan.restore_from().id(), ": ");
}

Told TellCommand(const v1::CommandReceived& command) {
  switch (command.command()) {
    case v1::CommandReceived::PAUSE:
      return Shout(
          absl::StrCat("paused by ", command.by(), ": nothing new is started, what runs is let finish"),
          Tone::kWarning);
    case v1::CommandReceived::RESUME:
      return Shout(absl::StrCat("resumed by ", command.by()), Tone::kWarning);
    default:
      return Shout(
          absl::StrCat("aborted by ", command.by(), ": nothing new is started, our cordons are undone"),
          Tone::kWarning);
  }
}

Told TellHeld(const v1::Held& held) {
  std::string text = held.node().empty() ? "waits" : absl::StrCat(held.node(), ": waits");
  for (int i = 0; i < held.reasons_size(); ++i) {
    absl::StrAppend(&text, i == 0 ? ": " : "; ", Describe(held.reasons(i)));
  }
  return Say(std::move(text), Tone::kWarning);
}

Told TellEnded(const v1::RolloutEnded& ended) {
  const bool good = ended.result() == v1::RolloutEnded::SUCCEEDED;
  return Say(absl::StrCat("rollout ", ResultKey(ended.result()), Because(ended.reason())),
             good ? Tone::kGood : Tone::kBad);
}

// What the agents said of their nodes when the rollout was adopted.
std::string FoundIn(const v1::RolloutAdopted& adopted) {
  static constexpr std::pair<v1::AdoptedNode::Found, const char*> kWords[] = {
      {v1::AdoptedNode::AT_TARGET, "at the target"}, {v1::AdoptedNode::AS_PLANNED, "not begun"},
      {v1::AdoptedNode::PUT_BACK, "put back"},       {v1::AdoptedNode::BROKEN, "broken"},
      {v1::AdoptedNode::FOUND_UNKNOWN, "unknown"},
  };
  std::vector<std::string> parts;
  for (const auto& [found, words] : kWords) {
    std::vector<std::string> names;
    for (const v1::AdoptedNode& node : adopted.nodes()) {
      if (node.found() == found) names.push_back(node.node());
    }
    if (!names.empty()) parts.push_back(absl::StrCat(words, ": ", absl::StrJoin(names, ", ")));
  }
  return absl::StrJoin(parts, "; ");
}

}  // namespace

std::vector<Told> Teller::TellIssued(const v1::OperationIssued& issued) {
  Asked asked{issued.node(), OperationWords(issued.spec()), IsQuiet(issued.spec())};
  std::string text = absl::StrCat(asked.node, ": ", asked.words);
  if (issued.attempt() > 1) absl::StrAppend(&text, " (attempt ", issued.attempt(), ")");
  const bool quiet = asked.quiet;
  asked_[issued.sequence()] = std::move(asked);
  if (quiet) return {};
  return {Say(std::move(text), Tone::kActive)};
}

std::vector<Told> Teller::TellSettled(const v1::OperationSettled& settled) {
  auto found = asked_.find(settled.sequence());
  if (found == asked_.end()) return {};
  const Asked asked = std::move(found->second);
  asked_.erase(found);
  const v1::Outcome& outcome = settled.outcome();
  const std::string what = absl::StrCat(asked.node, ": ", asked.words);
  switch (outcome.code()) {
    case v1::Outcome::SUCCEEDED:
      if (asked.quiet) return {};
      return {Say(absl::StrCat(what, " done", Gained(outcome)))};
    case v1::Outcome::REFUSED:
      return {Shout(absl::StrCat(what, " REFUSED", Because(outcome.reason())), Tone::kWarning)};
    case v1::Outcome::UNKNOWN:
      return {Shout(absl::StrCat(what, " UNKNOWN", Because(outcome.reason())), Tone::kWarning)};
    default:
      return {Shout(absl::StrCat(what, " FAILED", Because(outcome.reason()), Left(outcome.node_state())),
                    Tone::kBad)};
  }
}

std::vector<Told> Teller::Tell(const v1::Event& event, const core::State& state) {
  std::vector<Told> told;
  switch (event.body_case()) {
    case v1::Event::kCreated: {
      const v1::Plan& plan = event.created().plan();
      told = {Say(
          absl::StrCat("rollout ", event.created().rollout(), ": ", KindOf(plan), plan.cluster(), " from ",
                       plan.from_version(), " to ", plan.to_version(), ", ",
                       Counted(state.tally.servers, "server"), ", ", Counted(state.tally.workers, "worker")),
          Tone::kStrong)};
      break;
    }
    case v1::Event::kResumed:
      told = {
          Shout(absl::StrCat("goes on under ", event.resumed().holder(), ", epoch ", event.resumed().epoch()),
                Tone::kWarning)};
      break;
    case v1::Event::kAdopted:
      told = {Shout(absl::StrCat("adopted by ", event.adopted().holder(), ", epoch ", event.adopted().epoch(),
                                 "; ", FoundIn(event.adopted())),
                    Tone::kWarning)};
      break;
    case v1::Event::kCommand:
      told = {TellCommand(event.command())};
      break;
    case v1::Event::kStepEntered: {
      const v1::StepEntered& entered = event.step_entered();
      const std::string text = absl::StrCat("== ", StepTitle(entered.step()), Because(entered.because()));
      told = {entered.because().code() == v1::REASON_UNSPECIFIED ? Say(text, Tone::kStrong)
                                                                 : Shout(text, Tone::kWarning)};
      break;
    }
    case v1::Event::kIssued:
      told = TellIssued(event.issued());
      break;
    case v1::Event::kSettled:
      told = TellSettled(event.settled());
      break;
    case v1::Event::kHeld:
      if (event.held().reasons_size() > 0) told = {TellHeld(event.held())};
      break;
    case v1::Event::kNodeFinished:
      told = {TellFinished(event.node_finished())};
      break;
    case v1::Event::kPointOfNoReturn:
      told = {
          Say(absl::StrCat("point of no return: ", event.point_of_no_return().because()), Tone::kWarning)};
      break;
    case v1::Event::kEnded:
      told = {TellEnded(event.ended())};
      break;
    default:
      break;
  }
  for (Told& one : told)
    one.line.insert(one.line.begin(), {TimeOfDay(event.unix_ms(), zone_) + "  ", Tone::kDim});
  return told;
}

}  // namespace k3saga::view
