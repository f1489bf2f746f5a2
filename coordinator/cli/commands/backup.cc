#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <utility>

#include "common/reason.h"
#include "common/status_macros.h"
#include "coordinator/cli/commands/commands.h"
#include "coordinator/cli/stored_backups.h"
#include "coordinator/driver/backup_copies.h"
#include "coordinator/driver/backup_copy.h"
#include "coordinator/driver/external_backup.h"
#include "coordinator/driver/identity.h"
#include "coordinator/driver/operation_follower.h"
#include "coordinator/journal/sqlite_journal.h"
#include "coordinator/view/json.h"
#include "coordinator/view/reports.h"
#include "coordinator/view/words.h"

namespace k3saga::cli {
namespace {

constexpr std::chrono::minutes kForBackup{10};
constexpr std::chrono::minutes kForCopy{30};

using Answers = std::vector<view::NodeAnswer>;

ExitCode Refused(const Context& context, v1::Reason reason) {
  core::PlanOutcome outcome;
  outcome.refusals.push_back(std::move(reason));
  return PrintRefusal(context, outcome);
}

std::optional<v1::Reason> HeldBy(const Answers& answers) {
  for (const view::NodeAnswer& answer : answers) {
    if (!answer.facts.ok() || !answer.facts->claim().active()) continue;
    const v1::Claim& claim = answer.facts->claim();
    return MakeReason(v1::CLUSTER_HELD, answer.name,
                      absl::StrCat("rollout ", claim.rollout(), " holds the cluster, by ", claim.holder()),
                      "it takes its own backup; wait for its end, or end it: k3saga abort");
  }
  return std::nullopt;
}

bool CanTakeOne(const view::NodeAnswer& answer) {
  if (!answer.facts.ok() || answer.role != v1::ROLE_SERVER) return false;
  const v1::NodeFacts& facts = *answer.facts;
  return !facts.k3s().running_version().empty() && (!facts.has_etcd() || facts.etcd().error().empty());
}

// Whose agent takes it: the one that was named, else the first server that is well.
absl::StatusOr<const view::NodeAnswer*> ChooseServer(const Answers& answers, const std::string& wanted) {
  for (const view::NodeAnswer& answer : answers) {
    if (wanted.empty() ? CanTakeOne(answer) : answer.name == wanted) return &answer;
  }
  if (!wanted.empty()) return absl::NotFoundError(absl::StrCat(wanted, ": is no node of the cluster file"));
  return absl::UnavailableError("no server is well enough to take a backup; see: k3saga nodes");
}

// One backup by hand, from its request to its copy on this machine.
class ManualBackup {
 public:
  ManualBackup(const Context& context, Session& session, const v1::Authority& authority,
               const v1::OperationSpec& spec)
      : context_(context),
        session_(session),
        spec_(spec),
        edge_{session.loop(), context_.clock, session.fleet(), [this] { return random_(); }} {
    *request_.mutable_authority() = authority;
    request_.mutable_id()->set_rollout(authority.rollout());
    request_.mutable_id()->set_sequence(1);
    request_.mutable_id()->set_attempt(1);
    *request_.mutable_spec() = spec;
  }

  v1::Outcome Take(const std::string& node) {
    v1::Outcome outcome;
    driver::OperationFollower follower(edge_, node, request_, kForBackup,
                                       {[](const v1::Progress&) {},
                                        [&](v1::Outcome heard, const std::string&) {
                                          outcome = std::move(heard);
                                          session_.loop().Stop();
                                        }});
    session_.loop().Run();
    return outcome;
  }

  v1::Outcome TakeByCommand() {
    const auto& command = session_.file().policies.backup().external_command();
    driver::ExternalBackup::Job job;
    job.argv = {command.begin(), command.end()};
    job.rollout = request_.id().rollout();
    job.name = spec_.backup().name();
    job.deadline = kForBackup;
    v1::Outcome outcome;
    const driver::ExternalBackup running(session_.loop(), std::move(job), [&](v1::Outcome heard) {
      outcome = std::move(heard);
      session_.loop().Stop();
    });
    session_.loop().Run();
    return outcome;
  }

  absl::Status Copy(const std::string& node, const std::string& id, const std::string& folder) {
    absl::Status copied;
    driver::BackupCopy::Job job;
    job.node = node;
    job.authority = request_.authority();
    job.backup_id = id;
    job.folder = folder;
    job.deadline = kForCopy;
    job.progress = [](const v1::Progress&) {};
    job.done = [&](const absl::Status& status) {
      copied = status;
      session_.loop().Stop();
    };
    const driver::BackupCopy copy(edge_, std::move(job));
    session_.loop().Run();
    return copied;
  }

 private:
  const Context& context_;
  Session& session_;
  const v1::OperationSpec spec_;
  std::random_device random_;
  const driver::OperationFollower::Edge edge_;
  v1::RunRequest request_;
};

std::vector<view::BackupRow> GatherBackups(const Answers& answers, const std::string& copies) {
  std::vector<view::BackupRow> rows;
  std::map<std::string, size_t> by_id;
  for (const view::NodeAnswer& answer : answers) {
    if (!answer.facts.ok()) continue;
    for (const v1::StoredBackup& backup : answer.facts->backups()) {
      by_id.emplace(backup.id(), rows.size());
      rows.push_back({backup.id(), answer.name, backup.version(), backup.taken_unix_ms(), backup.bytes(),
                      backup.path(), ""});
    }
  }
  for (const driver::CopiedBackup& copy :
       copies.empty() ? std::vector<driver::CopiedBackup>() : driver::ListCopies(copies)) {
    if (const auto found = by_id.find(copy.backup.id()); found != by_id.end()) {
      rows[found->second].copy = copy.path;
      continue;
    }
    rows.push_back({copy.backup.id(), copy.node, copy.backup.version(), copy.backup.taken_unix_ms(),
                    copy.backup.bytes(), "", copy.path});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const view::BackupRow& a, const view::BackupRow& b) {
    return a.taken_ms > b.taken_ms;
  });
  return rows;
}

// What reading one of its places came to.
struct Verified {
  std::string where;
  absl::Status status;
};

ExitCode PrintTaken(const Context& context, const std::string& node, const v1::BackupResult& backup,
                    const std::string& copy) {
  const view::BackupRow row{backup.id(),   node, backup.version(), backup.taken_unix_ms(), backup.bytes(),
                            backup.path(), copy};
  if (context.json()) {
    context.console.Out(view::ToPage(view::BackupsJson({row})));
    return ExitCode::kDone;
  }
  context.console.Out(absl::StrCat("Backup ", backup.id(), " is taken: ", view::Bytes(backup.bytes()), ", ",
                                   node, backup.path().empty() ? "" : ":", backup.path(), "\n"));
  if (!copy.empty()) context.console.Out(absl::StrCat("A verified copy is in ", copy, "\n"));
  return ExitCode::kDone;
}

}  // namespace

ExitCode Run(const BackupCommand& command, const Context& context) {
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  // While a rollout is run from here, its backups are its own.
  auto journal =
      journal::SqliteJournal::OpenToWrite(JournalPath((*session)->state_folder()), journal::ThisProcess());
  if (!journal.ok()) {
    return ReasonOf(journal.status()).code() == v1::CLUSTER_HELD
               ? Refused(context, ReasonOf(journal.status()))
               : Failure(context, journal.status());
  }
  const auto rollouts = (*journal)->List();
  if (!rollouts.ok()) return Failure(context, rollouts.status());
  const Answers answers = (*session)->GatherFacts(/*obstacles=*/false);
  if (auto held = HeldBy(answers)) return Refused(context, *std::move(held));
  const auto server = ChooseServer(answers, command.node);
  if (!server.ok()) {
    return absl::IsNotFound(server.status()) ? InputError(context, server.status())
                                             : Failure(context, server.status());
  }
  const view::NodeAnswer& chosen = **server;
  if (!chosen.facts.ok()) return Failure(context, chosen.facts.status());

  const v1::BackupPolicy& policy = (*session)->file().policies.backup();
  const std::string id = driver::MakeRolloutId(context.clock.WallUnixMillis(), std::random_device()());
  v1::OperationSpec spec;
  spec.mutable_backup()->set_name("manual-" + id);
  spec.mutable_backup()->set_datastore(chosen.facts->k3s().datastore());
  spec.mutable_backup()->set_keep(policy.keep());
  ManualBackup manual(context, **session, AuthorityForBackup(answers, *rollouts, id), spec);
  const bool external = spec.backup().datastore() == v1::DATASTORE_EXTERNAL;
  if (external && policy.external_command_size() == 0) {
    return Refused(context, MakeReason(v1::BACKUP_MISSING, (*session)->file().name,
                                       "an external datastore needs a backup of its own kind",
                                       "name the command in backup.external_command"));
  }
  const v1::Outcome outcome = external ? manual.TakeByCommand() : manual.Take(chosen.name);
  if (outcome.code() != v1::Outcome::SUCCEEDED) {
    return Failure(context, absl::InternalError(Describe(outcome.reason())));
  }
  std::string copy;
  if (!external && !policy.copy_to().empty()) {
    const absl::Status copied = manual.Copy(chosen.name, outcome.backup().id(), policy.copy_to());
    if (!copied.ok()) {
      return Failure(
          context, absl::InternalError(absl::StrCat("backup ", outcome.backup().id(), " is on ", chosen.name,
                                                    ", but was not copied: ", copied.message())));
    }
    copy = absl::StrCat(policy.copy_to(), "/", outcome.backup().id());
    if (auto pruned = driver::PruneCopies(policy.copy_to(), policy.keep(), outcome.backup().id());
        !pruned.ok()) {
      context.console.Error(std::string(pruned.message()));
    }
  }
  return PrintTaken(context, external ? "" : chosen.name, outcome.backup(), copy);
}

ExitCode Run(const BackupsCommand&, const Context& context) {
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  const Answers answers = (*session)->GatherFacts(/*obstacles=*/false);
  const std::vector<view::BackupRow> rows =
      GatherBackups(answers, (*session)->file().policies.backup().copy_to());
  context.console.Out(context.json() ? view::ToPage(view::BackupsJson(rows)) : "");
  if (!context.json()) context.console.Out(view::BackupsPage(rows, absl::LocalTimeZone()));
  bool all = true;
  for (const view::NodeAnswer& answer : answers) {
    if (answer.facts.ok() || answer.role != v1::ROLE_SERVER) continue;
    all = false;
    context.console.Error(
        absl::StrCat(answer.name, ": its backups are not known: ", answer.facts.status().message()));
  }
  return all ? ExitCode::kDone : ExitCode::kFailed;
}

ExitCode Run(const VerifyBackupCommand& command, const Context& context) {
  auto session = Session::Open(context);
  if (!session.ok()) return InputError(context, session.status());
  const std::string& copies = (*session)->file().policies.backup().copy_to();
  std::vector<Verified> all;
  for (const view::BackupRow& row : GatherBackups((*session)->GatherFacts(/*obstacles=*/false), copies)) {
    if (row.id != command.id) continue;
    if (!row.on_node.empty()) all.push_back({row.node, VerifyBackupOn(**session, row.node, row.id)});
    if (!row.copy.empty()) all.push_back({"here", driver::VerifyCopy(copies, row.id)});
  }
  if (all.empty()) {
    return InputError(context, absl::NotFoundError(
                                   absl::StrCat("no backup ", command.id, "; `k3saga backups` lists them")));
  }
  nlohmann::ordered_json places = nlohmann::ordered_json::array();
  bool sound = true;
  for (const Verified& each : all) {
    const std::string problem(each.status.message());
    sound = sound && each.status.ok();
    places.push_back({{"where", each.where}, {"sound", each.status.ok()}, {"problem", problem}});
    if (context.json()) continue;
    context.console.Out(
        absl::StrCat(each.where, ": ", each.status.ok() ? "every file is as it was taken" : problem, "\n"));
  }
  if (context.json()) context.console.Out(view::ToPage({{"id", command.id}, {"places", std::move(places)}}));
  return sound ? ExitCode::kDone : ExitCode::kFailed;
}

}  // namespace k3saga::cli
