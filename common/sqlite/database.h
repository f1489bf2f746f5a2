#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::sqlite {

// One prepared statement. Bound values are copied.
class Statement {
 public:
  void Bind(int index, std::string_view text);
  void Bind(int index, int64_t value);
  void BindBlob(int index, std::string_view bytes);

  // True: a row is there. False: done.
  absl::StatusOr<bool> Step();
  // Steps to the end; for statements without rows.
  absl::Status Run();
  void Reset();

  int64_t Integer(int column) const;
  std::string Bytes(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Statement(sqlite3* database, sqlite3_stmt* statement, const std::string* path);

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  const std::string* path_;
};

// A thin layer over SQLite's C interface: ownership, and errors that say which file, what happened and what
// to do. Statements must not outlive their database. Used by one thread at a time.
class Database {
 public:
  enum class Mode { kRead, kWrite };

  // kWrite creates the file when it is missing.
  static absl::StatusOr<Database> Open(std::string_view path, Mode mode);

  absl::Status Execute(const char* sql);
  absl::StatusOr<Statement> Prepare(std::string_view sql);
  // The first column of the first row.
  absl::StatusOr<std::string> QueryText(std::string_view sql);
  absl::StatusOr<int64_t> QueryInteger(std::string_view sql);

  const std::string& path() const { return *path_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  Database(sqlite3* database, std::string path);

  std::unique_ptr<std::string> path_;  // stable address: statements name it in errors
  std::unique_ptr<sqlite3, Close> database_;
};

// Runs BEGIN IMMEDIATE at birth (call Begin) and rolls back unless Commit succeeded.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) {}
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  absl::Status Begin();
  absl::Status Commit();

 private:
  Database& database_;
  bool open_ = false;
};

}  // namespace k3saga::sqlite
