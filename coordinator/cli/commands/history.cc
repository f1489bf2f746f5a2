#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

#include "common/status_macros.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/core/saga.h"
#include "coordinator/journal/export.h"
#include "coordinator/journal/sqlite_journal.h"
#include "coordinator/view/json.h"
#include "coordinator/view/reports.h"
#include "coordinator/view/rollout_text.h"
#include "coordinator/view/teller.h"
#include "coordinator/view/words.h"

namespace k3saga::cli {
namespace {

absl::StatusOr<std::unique_ptr<journal::SqliteJournal>> OpenJournal(const Context& context) {
  K3SAGA_ASSIGN_OR_RETURN(config::ClusterFile file, config::LoadClusterFile(context.cluster_file));
  K3SAGA_ASSIGN_OR_RETURN(std::string folder, StateFolder(file.name));
  auto journal = journal::SqliteJournal::OpenToRead(JournalPath(folder));
  if (absl::IsNotFound(journal.status())) return absl::NotFoundError("no rollout yet");
  return journal;
}

view::RolloutRow RowOf(const journal::RolloutSummary& rollout) {
  const bool ended = rollout.result != v1::RolloutEnded::RESULT_UNSPECIFIED;
  return {rollout.rollout,
          rollout.from_version,
          rollout.to_version,
          ended ? view::ResultKey(rollout.result) : "not finished",
          rollout.created_unix_ms,
          rollout.last_event_unix_ms,
          view::KindWord(rollout.kind)};
}

ExitCode List(const Context& context, const journal::Journal& journal) {
  auto rollouts = journal.List();
  if (!rollouts.ok()) return Failure(context, rollouts.status());
  std::vector<view::RolloutRow> rows;
  for (const journal::RolloutSummary& rollout : *rollouts) rows.push_back(RowOf(rollout));
  if (context.json()) {
    context.console.Out(view::ToPage(view::HistoryJson(rows)));
  } else {
    context.console.Out(view::HistoryPage(rows, absl::LocalTimeZone()));
  }
  return ExitCode::kDone;
}

// Told as it was told then, event by event.
ExitCode Tell(const Context& context, const std::vector<v1::Event>& events) {
  core::State state;
  view::Teller teller(absl::LocalTimeZone());
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  uint64_t number = 0;
  for (const v1::Event& event : events) {
    if (absl::Status status = core::Apply(event, state); !status.ok()) return Failure(context, status);
    ++number;
    std::string text;
    for (const view::Teller::Told& told : teller.Tell(event, state)) {
      if (!context.json()) context.console.Out(std::vector<view::Line>{told.line});
      text = view::Paint({told.line.begin() + 1, told.line.end()}, view::Style{});
    }
    if (context.json()) list.push_back(view::EventJson(number, event, text));
  }
  if (context.json()) {
    context.console.Out(view::ToPage({{"events", std::move(list)}}));
  } else {
    context.console.Out(view::Conclusion(view::BuildModel(state, {}, context.clock.WallUnixMillis())));
  }
  return ExitCode::kDone;
}

}  // namespace

ExitCode Run(const HistoryCommand& command, const Context& context) {
  auto journal = OpenJournal(context);
  if (absl::IsNotFound(journal.status()) && command.rollout.empty() && context.json()) {
    context.console.Out(view::ToPage(view::HistoryJson({})));
    return ExitCode::kDone;
  }
  if (!journal.ok()) return InputError(context, journal.status());
  if (command.rollout.empty()) return List(context, **journal);
  auto events = (*journal)->Read(command.rollout);
  if (absl::IsNotFound(events.status())) return InputError(context, events.status());
  if (!events.ok()) return Failure(context, events.status());
  return Tell(context, *events);
}

ExitCode Run(const ExportCommand& command, const Context& context) {
  auto journal = OpenJournal(context);
  if (!journal.ok()) return InputError(context, journal.status());
  auto rollout = ChooseRollout(**journal, command.rollout, /*ended_too=*/true);
  if (!rollout.ok()) return InputError(context, rollout.status());
  auto events = (*journal)->Read(*rollout);
  if (!events.ok()) return Failure(context, events.status());
  auto text = journal::ExportJsonLines(*events);
  if (!text.ok()) return Failure(context, text.status());
  context.console.Out(*text);
  return ExitCode::kDone;
}

}  // namespace k3saga::cli
