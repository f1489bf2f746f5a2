#include "coordinator/cli/bring_backup.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <random>

#include "common/status_macros.h"
#include "coordinator/driver/backup_copies.h"
#include "coordinator/driver/file_push.h"
#include "coordinator/driver/identity.h"
#include "coordinator/journal/sqlite_journal.h"

namespace k3saga::cli {
namespace {

constexpr std::chrono::minutes kForReading{30};
constexpr std::chrono::minutes kForSending{30};

using Answers = std::vector<view::NodeAnswer>;

bool Has(const view::NodeAnswer& answer, const std::string& backup) {
  const auto& stored = answer.facts->backups();
  return std::any_of(stored.begin(), stored.end(),
                     [&](const v1::StoredBackup& each) { return each.id() == backup; });
}

// A server whose datastore could be reset from a backup.
bool CouldRestore(const view::NodeAnswer& answer) {
  if (!answer.facts.ok() || answer.role != v1::ROLE_SERVER) return false;
  const v1::K3sFacts& k3s = answer.facts->k3s();
  return k3s.datastore() == v1::DATASTORE_SQLITE ||
         (k3s.datastore() == v1::DATASTORE_EMBEDDED_ETCD && k3s.runs_etcd());
}

bool Held(const Answers& answers) {
  return std::any_of(answers.begin(), answers.end(), [](const view::NodeAnswer& answer) {
    return answer.facts.ok() && answer.facts->claim().active();
  });
}

// Where a copy belongs: to whoever has that backup, else to whoever took it, else to any server.
const view::NodeAnswer* PlaceFor(const Answers& answers, const driver::CopiedBackup& copy) {
  const auto first = [&](const auto& fits) -> const view::NodeAnswer* {
    for (const view::NodeAnswer& answer : answers) {
      if (CouldRestore(answer) && fits(answer)) return &answer;
    }
    return nullptr;
  };
  const view::NodeAnswer* place = first([&](const auto& answer) { return Has(answer, copy.id); });
  if (place == nullptr) place = first([&](const auto& answer) { return answer.name == copy.node; });
  return place != nullptr ? place : first([](const auto&) { return true; });
}

absl::Status Push(const Context& context, Session& session, const v1::Authority& authority,
                  const std::string& node, const std::string& folder, const std::string& backup) {
  std::random_device random;
  driver::FilePush push({session.loop(), context.clock, session.fleet(), [&] { return random(); }},
                        [&] { return driver::FilesOfCopy(folder, backup); });
  absl::Status pushed;
  driver::FilePush::Job job;
  job.node = node;
  job.authority = authority;
  job.deadline = kForSending;
  job.progress = [](const v1::Progress&) {};
  job.done = [&](const absl::Status& status) {
    pushed = status;
    session.loop().Stop();
  };
  const fleet::CallHandle call = push.Push(std::move(job));
  session.loop().Run();
  return pushed;
}

// Brings the copy where it is needed; false where it is not.
absl::StatusOr<bool> Bring(const Context& context, Session& session, const Answers& answers,
                           const std::vector<journal::RolloutSummary>& rollouts,
                           const driver::CopiedBackup& copy, const std::string& folder) {
  const view::NodeAnswer* place = PlaceFor(answers, copy);
  if (place == nullptr) return false;
  const bool has = Has(*place, copy.id);
  if (has && VerifyBackupOn(session, place->name, copy.id).ok()) return false;
  absl::Status brought =
      Push(context, session, AuthorityForBackup(answers, rollouts, copy.id), place->name, folder, copy.id);
  if (brought.ok()) brought = VerifyBackupOn(session, place->name, copy.id);
  if (!brought.ok()) {
    return absl::Status(brought.code(), absl::StrCat("the copy of backup ", copy.id, " in ", copy.path,
                                                     " could not be brought to ", place->name, ": ",
                                                     std::string(brought.message())));
  }
  const std::string why = has ? place->name + " has it damaged" : "no server has it";
  context.console.Note(absl::StrCat("Backup ", copy.id, ": ", why, ". Its copy in ", copy.path,
                                    " was brought to ", place->name, " and verified there.\n"));
  return true;
}

}  // namespace

v1::Authority AuthorityForBackup(const Answers& answers, const std::vector<journal::RolloutSummary>& rollouts,
                                 const std::string& name) {
  v1::Authority authority;
  authority.set_rollout("backup-" + name);
  authority.set_epoch(driver::NextEpoch(ToFacts(answers), rollouts));
  authority.set_holder(journal::ThisProcess().who);
  return authority;
}

absl::Status VerifyBackupOn(Session& session, const std::string& node, const std::string& id) {
  absl::Status status = absl::UnavailableError("no answer");
  v1::VerifyBackupRequest request;
  request.set_id(id);
  const fleet::CallHandle call = session.fleet().VerifyBackup(
      node, request, kForReading, [&](const absl::StatusOr<v1::VerifyBackupReply>& reply) {
        status = reply.ok() ? absl::OkStatus() : reply.status();
        if (reply.ok() && !reply->sound()) status = absl::DataLossError(reply->problem());
        session.loop().Stop();
      });
  session.loop().Run();
  return status;
}

absl::StatusOr<std::vector<v1::NodeFacts>> FactsWithBackup(
    const Context& context, Session& session, const std::vector<journal::RolloutSummary>& rollouts,
    const std::vector<std::string>& backups) {
  const Answers answers = session.GatherFacts(/*obstacles=*/false);
  const std::string& folder = session.file().policies.backup().copy_to();
  if (folder.empty() || backups.empty() || Held(answers)) return ToFacts(answers);
  for (const driver::CopiedBackup& copy : driver::ListCopies(folder)) {
    if (copy.id != backups.front()) continue;
    K3SAGA_ASSIGN_OR_RETURN(const bool brought, Bring(context, session, answers, rollouts, copy, folder));
    if (brought) return ToFacts(session.GatherFacts(/*obstacles=*/false));
  }
  return ToFacts(answers);
}

}  // namespace k3saga::cli
