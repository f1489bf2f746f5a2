#include "coordinator/cli/stored_backups.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "coordinator/driver/backup_copies.h"
#include "coordinator/driver/identity.h"
#include "coordinator/journal/sqlite_journal.h"

namespace k3saga::cli {
namespace {

constexpr std::chrono::minutes kForReading{30};

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

// Where a copy belongs: to whoever has that backup, else to whoever took it, else to any server.
view::NodeAnswer* PlaceFor(Answers& answers, const driver::CopiedBackup& copy) {
  const auto first = [&](const auto& fits) -> view::NodeAnswer* {
    for (view::NodeAnswer& answer : answers) {
      if (CouldRestore(answer) && fits(answer)) return &answer;
    }
    return nullptr;
  };
  view::NodeAnswer* place = first([&](const auto& answer) { return Has(answer, copy.backup.id()); });
  if (place == nullptr) place = first([&](const auto& answer) { return answer.name == copy.node; });
  return place != nullptr ? place : first([](const auto&) { return true; });
}

void CountAs(const v1::StoredBackup& backup, v1::NodeFacts& facts) {
  auto& stored = *facts.mutable_backups();
  stored.erase(std::remove_if(stored.begin(), stored.end(),
                              [&](const v1::StoredBackup& each) { return each.id() == backup.id(); }),
               stored.end());
  *stored.Add() = backup;
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

absl::StatusOr<std::vector<v1::NodeFacts>> FactsWithCopy(const Context& context, Session& session,
                                                         const std::vector<std::string>& backups) {
  Answers answers = session.GatherFacts(/*obstacles=*/false);
  const std::string& folder = session.file().policies.backup().copy_to();
  if (folder.empty() || backups.empty()) return ToFacts(answers);
  const std::vector<driver::CopiedBackup> copies = driver::ListCopies(folder);
  const auto copy = std::find_if(copies.begin(), copies.end(), [&](const driver::CopiedBackup& each) {
    return each.backup.id() == backups.front();
  });
  view::NodeAnswer* place = copy == copies.end() ? nullptr : PlaceFor(answers, *copy);
  if (place == nullptr) return ToFacts(answers);
  const std::string& id = copy->backup.id();
  const bool has = Has(*place, id);
  if (has && VerifyBackupOn(session, place->name, id).ok()) return ToFacts(answers);
  const std::string why = has ? place->name + " has it damaged" : "no server has it";
  if (const absl::Status sound = driver::VerifyCopy(folder, id); !sound.ok()) {
    return absl::Status(sound.code(),
                        absl::StrCat("backup ", id, ": ", why,
                                     ", and its copy here is no help: ", std::string(sound.message())));
  }
  context.console.Note(absl::StrCat("Backup ", id, ": ", why, ". Its copy in ", copy->path,
                                    " is whole; it is brought to ", place->name,
                                    " before anything is stopped.\n"));
  CountAs(copy->backup, *place->facts);
  return ToFacts(answers);
}

}  // namespace k3saga::cli
