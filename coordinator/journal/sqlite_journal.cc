#include "coordinator/journal/sqlite_journal.h"

#include "common/host/crash_point.h"
#include "common/host/files.h"
#include "common/status_macros.h"
#include "coordinator/journal/schema.h"

namespace k3saga::journal {
namespace {

CrashPoint kBeforeCommit("journal.before_commit");
CrashPoint kAfterCommit("journal.after_commit");

std::string LockPath(std::string_view path) { return absl::StrCat(std::string(path), ".lock"); }

absl::StatusOr<v1::Event> ParseEvent(const sqlite::Database& database, std::string_view rollout,
                                     int64_t number, const std::string& body) {
  v1::Event event;
  const std::string where =
      absl::StrCat(database.path(), ": event ", number, " of rollout ", std::string(rollout));
  if (!event.ParseFromString(body)) return absl::DataLossError(absl::StrCat(where, " cannot be read"));
  if (event.body_case() == v1::Event::BODY_NOT_SET) {
    return absl::FailedPreconditionError(
        absl::StrCat(where, " is of a kind that only a newer k3saga knows; use that one"));
  }
  return event;
}

}  // namespace

SqliteJournal::SqliteJournal(sqlite::Database database, std::optional<WriterLock> lock)
    : database_(std::move(database)), lock_(std::move(lock)) {}

absl::StatusOr<std::unique_ptr<SqliteJournal>> SqliteJournal::OpenToWrite(std::string_view path,
                                                                          const Holder& me) {
  const std::string folder = DirName(path);
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder, 0700));
  K3SAGA_ASSIGN_OR_RETURN(WriterLock lock, WriterLock::Take(LockPath(path), me));
  K3SAGA_ASSIGN_OR_RETURN(sqlite::Database database,
                          sqlite::Database::Open(path, sqlite::Database::Mode::kWrite));
  // Looks before it writes: setting the journal mode changes the file's header.
  K3SAGA_RETURN_IF_ERROR(sqlite::SchemaVersion(database, JournalSchema()).status());
  K3SAGA_RETURN_IF_ERROR(sqlite::CheckIntegrity(database));
  K3SAGA_RETURN_IF_ERROR(sqlite::SetDurable(database));
  K3SAGA_RETURN_IF_ERROR(sqlite::MigrateForward(database, JournalSchema()));
  K3SAGA_RETURN_IF_ERROR(SyncDirectory(folder));  // SQLite syncs what is in a new file, not its name
  return std::unique_ptr<SqliteJournal>(new SqliteJournal(std::move(database), std::move(lock)));
}

absl::StatusOr<std::unique_ptr<SqliteJournal>> SqliteJournal::OpenToRead(std::string_view path) {
  if (!Exists(std::string(path))) {
    return absl::NotFoundError(
        absl::StrCat("no rollout was ever run from here (no ", std::string(path), ")"));
  }
  K3SAGA_ASSIGN_OR_RETURN(sqlite::Database database,
                          sqlite::Database::Open(path, sqlite::Database::Mode::kRead));
  K3SAGA_RETURN_IF_ERROR(sqlite::CheckSchema(database, JournalSchema()));
  return std::unique_ptr<SqliteJournal>(new SqliteJournal(std::move(database), std::nullopt));
}

absl::StatusOr<std::optional<Holder>> SqliteJournal::WhoWrites(std::string_view path) {
  return WriterLock::WhoWrites(LockPath(path));
}

absl::Status SqliteJournal::Announce(std::string_view socket) {
  if (!lock_) return absl::FailedPreconditionError("a journal that was opened to read announces nothing");
  return lock_->Announce(socket);
}

absl::StatusOr<uint64_t> SqliteJournal::CountEvents(std::string_view rollout) const {
  K3SAGA_ASSIGN_OR_RETURN(sqlite::Statement count,
                          database_.Prepare("SELECT coalesce(max(number), 0) FROM event WHERE rollout = ?"));
  count.Bind(1, rollout);
  K3SAGA_ASSIGN_OR_RETURN(const bool row, count.Step());
  return row ? static_cast<uint64_t>(count.Integer(0)) : 0;
}

absl::Status SqliteJournal::InsertAll(std::string_view rollout, uint64_t after,
                                      const std::vector<v1::Event>& events) {
  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement insert,
      database_.Prepare("INSERT INTO event (rollout, number, kind, body) VALUES (?, ?, ?, ?)"));
  v1::Event read_back;
  for (size_t i = 0; i < events.size(); ++i) {
    // Text that is not UTF-8 can be written but not read: such a log would be lost with its first such event.
    const std::string body = events[i].SerializeAsString();
    if (!read_back.ParseFromString(body) || read_back.body_case() == v1::Event::BODY_NOT_SET) {
      return absl::InvalidArgumentError(
          absl::StrCat("event ", after + i + 1, " of rollout ", std::string(rollout),
                       " cannot be journaled: ", "it is empty, or its text is not UTF-8"));
    }
    insert.Bind(1, rollout);
    insert.Bind(2, static_cast<int64_t>(after + i + 1));
    insert.Bind(3, static_cast<int64_t>(events[i].body_case()));
    insert.BindBlob(4, body);
    K3SAGA_RETURN_IF_ERROR(insert.Run());
    insert.Reset();
  }
  return absl::OkStatus();
}

absl::Status SqliteJournal::Append(std::string_view rollout, uint64_t after,
                                   const std::vector<v1::Event>& events) {
  if (!lock_) {
    return absl::FailedPreconditionError(absl::StrCat(database_.path(), " was opened to read, not to write"));
  }
  if (events.empty()) return absl::OkStatus();
  sqlite::Transaction transaction(database_);
  K3SAGA_RETURN_IF_ERROR(transaction.Begin());
  K3SAGA_ASSIGN_OR_RETURN(const uint64_t there, CountEvents(rollout));
  if (there != after) {
    return absl::AbortedError(absl::StrCat(database_.path(), ": rollout ", std::string(rollout), " has ",
                                           there, " events where ", after,
                                           " were expected: somebody else wrote to it"));
  }
  K3SAGA_RETURN_IF_ERROR(InsertAll(rollout, after, events));
  kBeforeCommit.MaybeDie();
  K3SAGA_RETURN_IF_ERROR(transaction.Commit());
  kAfterCommit.MaybeDie();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::Event>> SqliteJournal::Read(std::string_view rollout) const {
  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_.Prepare("SELECT number, body FROM event WHERE rollout = ? ORDER BY number"));
  select.Bind(1, rollout);
  std::vector<v1::Event> events;
  for (;;) {
    K3SAGA_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) break;
    const int64_t number = select.Integer(0);
    if (number != static_cast<int64_t>(events.size()) + 1) {
      return absl::DataLossError(absl::StrCat(database_.path(), ": event ", events.size() + 1, " of rollout ",
                                              std::string(rollout), " is missing"));
    }
    K3SAGA_ASSIGN_OR_RETURN(v1::Event event, ParseEvent(database_, rollout, number, select.Bytes(1)));
    events.push_back(std::move(event));
  }
  if (events.empty()) {
    return absl::NotFoundError(absl::StrCat("no rollout ", std::string(rollout), " in ", database_.path()));
  }
  return events;
}

absl::StatusOr<std::vector<RolloutSummary>> SqliteJournal::List() const {
  K3SAGA_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_.Prepare("SELECT rollout, max(number) FROM event GROUP BY rollout ORDER BY rollout DESC"));
  // What a summary needs: the events that begin, continue and end a rollout, and its last one.
  K3SAGA_ASSIGN_OR_RETURN(sqlite::Statement telling,
                          database_.Prepare("SELECT number, body FROM event WHERE rollout = ?1 AND "
                                            "(kind IN (?2, ?3, ?4, ?5) OR number = ?6) ORDER BY number"));
  std::vector<RolloutSummary> rollouts;
  for (;;) {
    K3SAGA_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return rollouts;
    const std::string rollout = select.Bytes(0);
    telling.Bind(1, rollout);
    telling.Bind(2, static_cast<int64_t>(v1::Event::kCreated));
    telling.Bind(3, static_cast<int64_t>(v1::Event::kResumed));
    telling.Bind(4, static_cast<int64_t>(v1::Event::kEnded));
    telling.Bind(5, static_cast<int64_t>(v1::Event::kAdopted));
    telling.Bind(6, select.Integer(1));
    std::vector<v1::Event> events;
    for (;;) {
      K3SAGA_ASSIGN_OR_RETURN(const bool more, telling.Step());
      if (!more) break;
      K3SAGA_ASSIGN_OR_RETURN(v1::Event event,
                              ParseEvent(database_, rollout, telling.Integer(0), telling.Bytes(1)));
      events.push_back(std::move(event));
    }
    telling.Reset();
    rollouts.push_back(Summarize(events));
    rollouts.back().rollout = rollout;
    rollouts.back().events = static_cast<uint64_t>(select.Integer(1));
  }
}

}  // namespace k3saga::journal
