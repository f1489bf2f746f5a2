#include "agent/operations/journal.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "agent/operations/journal_rows.h"
#include "agent/operations/journal_schema.h"
#include "common/host/crash_point.h"
#include "common/host/files.h"
#include "common/reason.h"
#include "common/sqlite/schema.h"
#include "common/status_macros.h"

namespace k3saga::operations {
namespace {

CrashPoint before_accept("agent.journal.accept.before_commit");
CrashPoint after_accept("agent.journal.accept.after_commit");
CrashPoint before_save("agent.journal.phase.before_commit");
CrashPoint after_save("agent.journal.phase.after_commit");
CrashPoint before_cancel("agent.journal.cancel.before_commit");
CrashPoint after_cancel("agent.journal.cancel.after_commit");
CrashPoint before_prune("agent.journal.prune.before_commit");
CrashPoint after_prune("agent.journal.prune.after_commit");

// Rollouts whose floor is remembered. Older ones are fenced by their epoch anyway.
constexpr int64_t kFloorsKept = 1000;

// The claim's copy of the rollout is kept once, in the fence.
std::shared_ptr<const v1::OperationSpec> SpecToKeep(const v1::OperationSpec& asked) {
  auto spec = std::make_shared<v1::OperationSpec>(asked);
  if (spec->has_claim()) spec->mutable_claim()->clear_rollout_created();
  return spec;
}

bool SameFence(const Fence& a, const Fence& b) {
  return a.hold == b.hold && a.claim.epoch() == b.claim.epoch() && a.claim.rollout() == b.claim.rollout() &&
         a.claim.holder() == b.claim.holder();
}

}  // namespace

std::string OperationName(const v1::OperationId& id) {
  return absl::StrCat(id.rollout(), "/", id.sequence(), "/", id.attempt());
}

Journal::Journal(sqlite::Database database, Options options, const Clock* clock)
    : options_(std::move(options)), clock_(clock), database_(std::move(database)) {}

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::string& path, const Options& options,
                                                       const Clock* clock) {
  if (!options.create && !Exists(path)) {
    return absl::NotFoundError(absl::StrCat(path, ": there is no journal; does the agent run on this node?"));
  }
  K3SAGA_ASSIGN_OR_RETURN(sqlite::Database database,
                          sqlite::Database::Open(path, sqlite::Database::Mode::kWrite));
  // Who it belongs to comes first: another program's file is not to be turned into a WAL database.
  K3SAGA_RETURN_IF_ERROR(sqlite::SchemaVersion(database, JournalSchema()).status());
  K3SAGA_RETURN_IF_ERROR(sqlite::CheckIntegrity(database));
  K3SAGA_RETURN_IF_ERROR(sqlite::SetDurable(database));
  K3SAGA_RETURN_IF_ERROR(database.Execute("PRAGMA cache_size = -256"));
  K3SAGA_RETURN_IF_ERROR(sqlite::MigrateForward(database, JournalSchema()));
  K3SAGA_RETURN_IF_ERROR(SyncDirectory(DirName(path)));
  K3SAGA_ASSIGN_OR_RETURN(std::string id, database.QueryText("SELECT id FROM journal"));

  Options complete = options;
  if (!complete.free_bytes) complete.free_bytes = [](const std::string& where) { return FreeBytes(where); };
  std::unique_ptr<Journal> journal(new Journal(std::move(database), std::move(complete), clock));
  journal->id_ = std::move(id);
  return journal;
}

absl::StatusOr<Fence> Journal::ReadFence() {
  const std::lock_guard lock(mutex_);
  return LoadFence();
}

absl::StatusOr<std::string> Journal::ReadAdoption() {
  const std::lock_guard lock(mutex_);
  K3SAGA_ASSIGN_OR_RETURN(sqlite::Statement row, database_.Prepare("SELECT adoption FROM fence"));
  K3SAGA_ASSIGN_OR_RETURN(const bool found, row.Step());
  return found ? row.Bytes(0) : std::string();
}

absl::StatusOr<Fence> Journal::LoadFence() {
  K3SAGA_ASSIGN_OR_RETURN(sqlite::Statement row,
                          database_.Prepare("SELECT hold, rollout, epoch, holder, since_unix_ms FROM fence"));
  K3SAGA_ASSIGN_OR_RETURN(const bool found, row.Step());
  Fence fence;
  if (!found) return fence;
  fence.hold = static_cast<Fence::Hold>(row.Integer(0));
  fence.claim.set_rollout(row.Bytes(1));
  fence.claim.set_epoch(static_cast<uint64_t>(row.Integer(2)));
  fence.claim.set_holder(row.Bytes(3));
  fence.claim.set_since_unix_ms(row.Integer(4));
  fence.claim.set_active(fence.hold == Fence::Hold::kHeld);
  return fence;
}

absl::Status Journal::StoreFence(const Fence& fence) {
  // The copy of the rollout stays as long as the same rollout is here.
  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement write,
      database_.Prepare(
          "INSERT INTO fence VALUES (1, ?1, ?2, ?3, ?4, ?5, x'') ON CONFLICT (only_one) DO UPDATE SET "
          "adoption = CASE WHEN rollout = ?2 AND ?1 <> ?6 THEN adoption ELSE x'' END, hold = ?1, "
          "rollout = ?2, epoch = ?3, holder = ?4, since_unix_ms = ?5"));
  write.Bind(1, static_cast<int64_t>(fence.hold));
  write.Bind(2, fence.claim.rollout());
  write.Bind(3, static_cast<int64_t>(fence.claim.epoch()));
  write.Bind(4, fence.claim.holder());
  write.Bind(5, fence.claim.since_unix_ms());
  write.Bind(6, static_cast<int64_t>(Fence::Hold::kReleased));
  return write.Run();
}

absl::StatusOr<JournalView> Journal::LoadView(const v1::OperationId& id) {
  JournalView view;
  K3SAGA_ASSIGN_OR_RETURN(sqlite::Statement floor,
                          database_.Prepare("SELECT sequence FROM floor WHERE rollout = ?"));
  floor.Bind(1, id.rollout());
  K3SAGA_ASSIGN_OR_RETURN(const bool pruned, floor.Step());
  if (pruned) view.floor = static_cast<uint64_t>(floor.Integer(0));
  K3SAGA_ASSIGN_OR_RETURN(sqlite::Statement running,
                          database_.Prepare("SELECT spec FROM operation WHERE settled_unix_ms = 0"));
  for (;;) {
    K3SAGA_ASSIGN_OR_RETURN(const bool more, running.Step());
    if (!more) return view;
    v1::OperationSpec spec;
    if (spec.ParseFromString(running.Bytes(0))) view.running.push_back(VerbOf(spec));
  }
}

absl::Status Journal::CheckRoom() {
  K3SAGA_ASSIGN_OR_RETURN(const uint64_t free, options_.free_bytes(DirName(database_.path())));
  if (free >= options_.reserve_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(database_.path(), ": ", free >> 20, " MiB are free, ", options_.reserve_bytes >> 20,
                   " MiB are kept for what runs: nothing new is taken; free some disk space"));
}

absl::StatusOr<Accepted> Journal::Accept(const v1::RunRequest& request) {
  const std::lock_guard lock(mutex_);
  const v1::OperationId& id = request.id();
  sqlite::Transaction transaction(database_);
  K3SAGA_RETURN_IF_ERROR(transaction.Begin());
  K3SAGA_ASSIGN_OR_RETURN(const Fence fence, LoadFence());
  K3SAGA_ASSIGN_OR_RETURN(JournalView view, LoadView(id));
  K3SAGA_ASSIGN_OR_RETURN(std::vector<Entry> known, LoadEntries(kThisOne, &id, 1));
  view.known = !known.empty();
  view.lost = !request.journal_id().empty() && request.journal_id() != id_;

  Accepted accepted;
  const int64_t now = clock_->WallUnixMillis();
  accepted.admission = Admit(fence, view, request.authority(), id, request.spec(), now);
  bool changed = !SameFence(fence, accepted.admission.fence);
  switch (accepted.admission.kind) {
    case Admission::Kind::kRefuse:
      return accepted;
    case Admission::Kind::kAttach:
      accepted.entry = std::move(known.front());
      if (request.authority().epoch() > accepted.entry.record.authority.epoch()) {
        accepted.entry.record.authority = request.authority();
        K3SAGA_ASSIGN_OR_RETURN(sqlite::Statement write,
                                database_.Prepare(absl::StrCat("UPDATE operation SET authority = ? WHERE ",
                                                               std::string(kThisOne))));
        write.BindBlob(1, request.authority().SerializeAsString());
        BindId(write, 2, id);
        K3SAGA_RETURN_IF_ERROR(write.Run());
        changed = true;
      }
      break;
    case Admission::Kind::kStart:
      K3SAGA_RETURN_IF_ERROR(CheckRoom());
      accepted.entry.record = NewRecord(id, request.authority(), SpecToKeep(request.spec()));
      accepted.entry.accepted_unix_ms = now;
      K3SAGA_RETURN_IF_ERROR(Insert(accepted.entry));
      changed = true;
      break;
  }
  if (!changed) return accepted;

  if (!SameFence(fence, accepted.admission.fence))
    K3SAGA_RETURN_IF_ERROR(StoreFence(accepted.admission.fence));
  if (accepted.admission.kind == Admission::Kind::kStart && request.spec().has_claim()) {
    K3SAGA_ASSIGN_OR_RETURN(sqlite::Statement write, database_.Prepare("UPDATE fence SET adoption = ?"));
    write.BindBlob(1, request.spec().claim().rollout_created());
    K3SAGA_RETURN_IF_ERROR(write.Run());
  }
  before_accept.MaybeDie();
  K3SAGA_RETURN_IF_ERROR(transaction.Commit());
  after_accept.MaybeDie();
  return accepted;
}

absl::Status Journal::Insert(const Entry& entry) {
  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement write,
      database_.Prepare(absl::StrCat("INSERT INTO operation (", std::string(kColumns),
                                     ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")));
  const Record& record = entry.record;
  BindId(write, 1, record.id);
  write.BindBlob(4, record.spec->SerializeAsString());
  write.BindBlob(5, record.authority.SerializeAsString());
  write.Bind(6, PhaseName(record.phase));
  write.Bind(7, static_cast<int64_t>(record.starts));
  write.Bind(8, static_cast<int64_t>(record.starts_before_turning));
  write.Bind(9, static_cast<int64_t>(record.turned));
  write.BindBlob(10, record.outcome.SerializeAsString());
  write.Bind(11, EncodeNotes(record.notes));
  write.Bind(12, entry.deadline.boot_id);
  write.Bind(13, entry.deadline.steady_ms);
  write.BindBlob(14, "");
  write.Bind(15, int64_t{0});
  write.Bind(16, entry.accepted_unix_ms);
  write.Bind(17, entry.settled_unix_ms);
  return write.Run();
}

absl::StatusOr<std::vector<Entry>> Journal::LoadEntries(std::string_view where_and_order,
                                                        const v1::OperationId* id, int64_t limit) {
  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement row,
      database_.Prepare(absl::StrCat("SELECT ", std::string(kColumns), " FROM operation WHERE ",
                                     std::string(where_and_order), " LIMIT ?")));
  row.Bind(id == nullptr ? 1 : BindId(row, 1, *id), limit);
  std::vector<Entry> entries;
  for (;;) {
    K3SAGA_ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) return entries;
    K3SAGA_ASSIGN_OR_RETURN(Entry entry, DecodeEntry(row, database_.path()));
    entries.push_back(std::move(entry));
  }
}

absl::StatusOr<std::optional<Entry>> Journal::Find(const v1::OperationId& id) {
  const std::lock_guard lock(mutex_);
  K3SAGA_ASSIGN_OR_RETURN(std::vector<Entry> entries, LoadEntries(kThisOne, &id, 1));
  if (entries.empty()) return std::nullopt;
  return std::move(entries.front());
}

absl::StatusOr<std::vector<Entry>> Journal::List(uint32_t limit) {
  const std::lock_guard lock(mutex_);
  return LoadEntries("true ORDER BY number DESC", nullptr, limit);
}

absl::StatusOr<std::vector<Entry>> Journal::Unsettled() {
  const std::lock_guard lock(mutex_);
  return LoadEntries("settled_unix_ms = 0 ORDER BY number", nullptr, -1);
}

absl::Status Journal::Save(const Record& record, const Deadline& deadline) {
  const std::lock_guard lock(mutex_);
  sqlite::Transaction transaction(database_);
  K3SAGA_RETURN_IF_ERROR(transaction.Begin());
  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement write,
      database_.Prepare(absl::StrCat(
          "UPDATE operation SET phase = ?, starts = ?, starts_before_turning = ?, turned = ?, outcome = ?, "
          "notes = ?, deadline_boot_id = ?, deadline_steady_ms = ?, settled_unix_ms = ? WHERE "
          "settled_unix_ms = 0 "
          "AND ",
          std::string(kThisOne), " RETURNING number")));
  write.Bind(1, PhaseName(record.phase));
  write.Bind(2, static_cast<int64_t>(record.starts));
  write.Bind(3, static_cast<int64_t>(record.starts_before_turning));
  write.Bind(4, static_cast<int64_t>(record.turned));
  write.BindBlob(5, record.outcome.SerializeAsString());
  write.Bind(6, EncodeNotes(record.notes));
  write.Bind(7, deadline.boot_id);
  write.Bind(8, deadline.steady_ms);
  write.Bind(9, record.settled() ? clock_->WallUnixMillis() : int64_t{0});
  BindId(write, 10, record.id);
  K3SAGA_ASSIGN_OR_RETURN(const bool written, write.Step());
  if (!written) {
    return absl::NotFoundError(absl::StrCat(database_.path(), ": operation ", OperationName(record.id),
                                            " is not in the journal, or is settled already"));
  }
  K3SAGA_RETURN_IF_ERROR(write.Run());
  before_save.MaybeDie();
  K3SAGA_RETURN_IF_ERROR(transaction.Commit());
  after_save.MaybeDie();
  return absl::OkStatus();
}

absl::StatusOr<bool> Journal::RequestCancel(const v1::OperationId& id) {
  const std::lock_guard lock(mutex_);
  sqlite::Transaction transaction(database_);
  K3SAGA_RETURN_IF_ERROR(transaction.Begin());
  K3SAGA_ASSIGN_OR_RETURN(sqlite::Statement write,
                          database_.Prepare(absl::StrCat(
                              "UPDATE operation SET cancel_requested = 1 WHERE settled_unix_ms = 0 AND ",
                              std::string(kThisOne), " RETURNING number")));
  BindId(write, 1, id);
  K3SAGA_ASSIGN_OR_RETURN(const bool found, write.Step());
  if (!found) return false;
  K3SAGA_RETURN_IF_ERROR(write.Run());
  before_cancel.MaybeDie();
  K3SAGA_RETURN_IF_ERROR(transaction.Commit());
  after_cancel.MaybeDie();
  return true;
}

absl::Status Journal::ReportProgress(const v1::OperationId& id, const v1::Progress& progress) {
  const std::lock_guard lock(mutex_);
  // Without waiting for the disk; the next real commit takes it along.
  K3SAGA_RETURN_IF_ERROR(database_.Execute("PRAGMA synchronous = NORMAL"));
  absl::Status status = [&]() -> absl::Status {
    K3SAGA_ASSIGN_OR_RETURN(
        sqlite::Statement write,
        database_.Prepare(absl::StrCat("UPDATE operation SET progress = ? WHERE ", std::string(kThisOne))));
    write.BindBlob(1, progress.SerializeAsString());
    BindId(write, 2, id);
    return write.Run();
  }();
  status.Update(database_.Execute("PRAGMA synchronous = FULL"));
  return status;
}

absl::StatusOr<int64_t> Journal::DataVersion() {
  const std::lock_guard lock(mutex_);
  return database_.QueryInteger("PRAGMA data_version");
}

absl::StatusOr<uint32_t> Journal::Prune() {
  const std::lock_guard lock(mutex_);
  sqlite::Transaction transaction(database_);
  K3SAGA_RETURN_IF_ERROR(transaction.Begin());
  K3SAGA_ASSIGN_OR_RETURN(const Fence fence, LoadFence());
  const std::string held = fence.hold == Fence::Hold::kHeld ? fence.claim.rollout() : "";
  const int64_t now = clock_->WallUnixMillis();

  // The row after the last one kept by count: it and all older ones go.
  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement mark,
      database_.Prepare("CREATE TEMP TABLE IF NOT EXISTS doomed (number INTEGER PRIMARY KEY)"));
  K3SAGA_RETURN_IF_ERROR(mark.Run());
  K3SAGA_RETURN_IF_ERROR(database_.Execute("DELETE FROM doomed"));
  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement choose,
      database_.Prepare(
          "INSERT INTO doomed SELECT number FROM operation WHERE settled_unix_ms <> 0 AND rollout <> ?1 "
          "AND (settled_unix_ms < ?2 OR number <= coalesce((SELECT number FROM operation WHERE "
          "settled_unix_ms <> 0 ORDER BY number DESC LIMIT 1 OFFSET ?3), -1))"));
  choose.Bind(1, held);
  choose.Bind(2, now - options_.keep_ms);
  choose.Bind(3, static_cast<int64_t>(options_.keep));
  K3SAGA_RETURN_IF_ERROR(choose.Run());
  K3SAGA_ASSIGN_OR_RETURN(const int64_t count, database_.QueryInteger("SELECT count(*) FROM doomed"));
  if (count == 0) return 0;

  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement raise,
      database_.Prepare(
          "INSERT INTO floor SELECT rollout, max(sequence), ?1 FROM operation WHERE number IN "
          "(SELECT number FROM doomed) GROUP BY rollout ON CONFLICT (rollout) DO UPDATE SET "
          "sequence = max(sequence, excluded.sequence), since_unix_ms = excluded.since_unix_ms"));
  raise.Bind(1, now);
  K3SAGA_RETURN_IF_ERROR(raise.Run());
  K3SAGA_RETURN_IF_ERROR(
      database_.Execute("DELETE FROM operation WHERE number IN (SELECT number FROM doomed)"));
  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement forget,
      database_.Prepare("DELETE FROM floor WHERE rollout <> ?1 AND rollout NOT IN (SELECT rollout FROM floor "
                        "ORDER BY since_unix_ms DESC LIMIT ?2)"));
  forget.Bind(1, fence.claim.rollout());
  forget.Bind(2, kFloorsKept);
  K3SAGA_RETURN_IF_ERROR(forget.Run());
  before_prune.MaybeDie();
  K3SAGA_RETURN_IF_ERROR(transaction.Commit());
  after_prune.MaybeDie();
  return static_cast<uint32_t>(count);
}

}  // namespace k3saga::operations
