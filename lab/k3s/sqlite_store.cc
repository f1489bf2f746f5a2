#include "lab/k3s/sqlite_store.h"

#include <sqlite3.h>

#include "common/status_macros.h"
#include "lab/base/files.h"

namespace k3saga::lab {
namespace {

constexpr char kSchema[] =
    "PRAGMA journal_mode=WAL; PRAGMA busy_timeout=5000;"
    "CREATE TABLE IF NOT EXISTS objects (name TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT "
    "NULL);"
    "CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO counter VALUES (1, 1);";

// A prepared statement with its text parameters bound.
class Statement {
 public:
  Statement(sqlite3* db, const char* sql, const std::vector<std::string>& texts) : db_(db) {
    ok_ = sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr) == SQLITE_OK;
    for (size_t i = 0; ok_ && i < texts.size(); ++i) {
      sqlite3_bind_text(statement_, static_cast<int>(i + 1), texts[i].data(),
                        static_cast<int>(texts[i].size()), SQLITE_TRANSIENT);
    }
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // True for a row, false at the end.
  absl::StatusOr<bool> Step() {
    const int code = ok_ ? sqlite3_step(statement_) : SQLITE_ERROR;
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return absl::UnavailableError(absl::StrCat("sqlite: ", sqlite3_errmsg(db_)));
  }
  std::string Text(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return std::string(data == nullptr ? "" : data,
                       static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }
  int64_t Number(int column) const { return sqlite3_column_int64(statement_, column); }

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
  bool ok_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> SqliteStore::Open(const std::filesystem::path& file) {
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(file.parent_path()));
  sqlite3* db = nullptr;
  if (sqlite3_open(file.c_str(), &db) != SQLITE_OK ||
      sqlite3_exec(db, kSchema, nullptr, nullptr, nullptr) != SQLITE_OK) {
    absl::Status error = absl::UnavailableError(absl::StrCat(file.string(), ": ", sqlite3_errmsg(db)));
    sqlite3_close(db);
    return error;
  }
  return std::unique_ptr<Store>(new SqliteStore(db));
}

SqliteStore::~SqliteStore() { sqlite3_close(db_); }

absl::StatusOr<StoredValue> SqliteStore::Get(const std::string& key) {
  std::lock_guard<std::mutex> lock(mutex_);
  Statement select(db_, "SELECT value, revision FROM objects WHERE name = ?", {key});
  K3SAGA_ASSIGN_OR_RETURN(const bool row, select.Step());
  if (!row) return absl::NotFoundError(key);
  return StoredValue{key, select.Text(0), select.Number(1)};
}

absl::StatusOr<Store::Page> SqliteStore::List(const std::string& prefix, const std::string& after,
                                              int64_t limit) {
  std::lock_guard<std::mutex> lock(mutex_);
  Page page;
  Statement revision(db_, "SELECT revision FROM counter", {});
  K3SAGA_ASSIGN_OR_RETURN(const bool counted, revision.Step());
  if (counted) page.revision = revision.Number(0);
  Statement select(
      db_,
      "SELECT name, value, revision FROM objects WHERE name > ? AND substr(name, 1, length(?2)) = ?2 "
      "ORDER BY name",
      {after, prefix});
  for (;;) {
    K3SAGA_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return page;
    if (limit > 0 && static_cast<int64_t>(page.values.size()) == limit) {
      page.more = true;
      return page;
    }
    page.values.push_back({select.Text(0), select.Text(1), select.Number(2)});
  }
}

absl::StatusOr<int64_t> SqliteStore::Present(const std::string& key) {
  Statement select(db_, "SELECT revision FROM objects WHERE name = ?", {key});
  K3SAGA_ASSIGN_OR_RETURN(const bool row, select.Step());
  return row ? select.Number(0) : 0;
}

absl::StatusOr<int64_t> SqliteStore::NextRevision() {
  Statement next(db_, "UPDATE counter SET revision = revision + 1 RETURNING revision", {});
  K3SAGA_RETURN_IF_ERROR(next.Step().status());
  const int64_t revision = next.Number(0);
  K3SAGA_RETURN_IF_ERROR(next.Step().status());
  return revision;
}

absl::StatusOr<int64_t> SqliteStore::Put(const std::string& key, const std::string& value,
                                         std::optional<int64_t> expected) {
  std::lock_guard<std::mutex> lock(mutex_);
  K3SAGA_ASSIGN_OR_RETURN(const int64_t present, Present(key));
  if (expected.has_value() && *expected != present) return absl::AbortedError(key);
  K3SAGA_ASSIGN_OR_RETURN(const int64_t revision, NextRevision());
  Statement put(db_, "INSERT OR REPLACE INTO objects VALUES (?, ?, CAST(? AS INTEGER))",
                {key, value, std::to_string(revision)});
  K3SAGA_RETURN_IF_ERROR(put.Step().status());
  return revision;
}

absl::StatusOr<int64_t> SqliteStore::Delete(const std::string& key, std::optional<int64_t> expected) {
  std::lock_guard<std::mutex> lock(mutex_);
  K3SAGA_ASSIGN_OR_RETURN(const int64_t present, Present(key));
  if (present == 0) return absl::NotFoundError(key);
  if (expected.has_value() && *expected != present) return absl::AbortedError(key);
  Statement remove(db_, "DELETE FROM objects WHERE name = ?", {key});
  K3SAGA_RETURN_IF_ERROR(remove.Step().status());
  return NextRevision();
}

}  // namespace k3saga::lab
