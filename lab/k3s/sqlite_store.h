#pragma once

#include <filesystem>
#include <memory>

#include "lab/k3s/store.h"

struct sqlite3;

namespace k3saga::lab {

// The datastore of a single server without etcd: server/db/state.db, as kine keeps it in one file.
// Thread-safe.
class SqliteStore final : public Store {
 public:
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::filesystem::path& file);
  ~SqliteStore() override;
  absl::StatusOr<StoredValue> Get(const std::string& key) override;
  absl::StatusOr<Page> List(const std::string& prefix, const std::string& after, int64_t limit) override;
  absl::StatusOr<int64_t> Put(const std::string& key, const std::string& value,
                              std::optional<int64_t> expected) override;
  absl::StatusOr<int64_t> Delete(const std::string& key, std::optional<int64_t> expected) override;

 private:
  explicit SqliteStore(sqlite3* db) : db_(db) {}
  absl::StatusOr<int64_t> Present(const std::string& key);
  absl::StatusOr<int64_t> NextRevision();

  std::mutex mutex_;
  sqlite3* db_;
};

}  // namespace k3saga::lab
