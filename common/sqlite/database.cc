#include "common/sqlite/database.h"

#include <utility>

namespace k3saga::sqlite {
namespace {

constexpr int kBusyTimeoutMs = 5'000;  // a checkpoint of another process takes milliseconds

absl::Status Error(sqlite3* database, const std::string& path, std::string_view doing) {
  const int code = sqlite3_extended_errcode(database);
  const std::string what = absl::StrCat(path, ": ", std::string(doing), ": ", sqlite3_errmsg(database),
                                        " (SQLite error ", code, ")");
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(absl::StrCat(what, "; free some disk space and try again"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(absl::StrCat(
          what, "; the file is damaged and was left as it is: restore a copy of it, or move it away"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(what);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return absl::FailedPreconditionError(absl::StrCat(what, "; check who may read and write it"));
    default:
      return absl::InternalError(what);
  }
}

}  // namespace

Statement::Statement(sqlite3* database, sqlite3_stmt* statement, const std::string* path)
    : database_(database), statement_(statement), path_(path) {}

void Statement::Bind(int index, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void Statement::Bind(int index, int64_t value) { sqlite3_bind_int64(statement_.get(), index, value); }

void Statement::BindBlob(int index, std::string_view bytes) {
  // A null pointer would bind NULL, also for no bytes.
  sqlite3_bind_blob64(statement_.get(), index, bytes.empty() ? "" : bytes.data(), bytes.size(),
                      SQLITE_TRANSIENT);
}

absl::StatusOr<bool> Statement::Step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return Error(database_, *path_, sqlite3_sql(statement_.get()));
}

absl::Status Statement::Run() {
  absl::StatusOr<bool> more = true;
  while (more.ok() && *more) more = Step();
  return more.status();
}

void Statement::Reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

int64_t Statement::Integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string Statement::Bytes(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string() : std::string(bytes, static_cast<size_t>(size));
}

Database::Database(sqlite3* database, std::string path)
    : path_(std::make_unique<std::string>(std::move(path))), database_(database) {}

absl::StatusOr<Database> Database::Open(std::string_view path, Mode mode) {
  // Without a mutex of SQLite's own: one thread at a time.
  const int flags =
      (mode == Mode::kWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) |
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(std::string(path).c_str(), &handle, flags, nullptr);
  Database database(handle, std::string(path));
  if (handle == nullptr)
    return absl::ResourceExhaustedError(absl::StrCat(std::string(path), ": out of memory"));
  if (result != SQLITE_OK) return Error(handle, *database.path_, "open");
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  return database;
}

absl::Status Database::Execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return absl::OkStatus();
  return Error(database_.get(), *path_, sql);
}

absl::StatusOr<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int result =
      sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (result != SQLITE_OK) return Error(database_.get(), *path_, sql);
  return Statement(database_.get(), statement, path_.get());
}

absl::StatusOr<std::string> Database::QueryText(std::string_view sql) {
  auto statement = Prepare(sql);
  if (!statement.ok()) return statement.status();
  auto row = statement->Step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::InternalError(absl::StrCat(*path_, ": no answer to ", std::string(sql)));
  return statement->Bytes(0);
}

absl::StatusOr<int64_t> Database::QueryInteger(std::string_view sql) {
  auto statement = Prepare(sql);
  if (!statement.ok()) return statement.status();
  auto row = statement->Step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::InternalError(absl::StrCat(*path_, ": no answer to ", std::string(sql)));
  return statement->Integer(0);
}

absl::Status Transaction::Begin() {
  absl::Status status = database_.Execute("BEGIN IMMEDIATE");
  open_ = status.ok();
  return status;
}

absl::Status Transaction::Commit() {
  absl::Status status = database_.Execute("COMMIT");
  if (status.ok()) open_ = false;
  return status;
}

Transaction::~Transaction() {
  // SQLite may have rolled back by itself (disk full); then this fails, which is as good.
  if (open_) (void)database_.Execute("ROLLBACK");
}

}  // namespace k3saga::sqlite
