#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::lab {

struct StoredValue {
  std::string key;
  std::string value;
  int64_t revision = 0;  // of the last change
};

// What an API server keeps its objects in. Every change has a revision, larger than all before it. Errors:
// kAborted when the expected revision is not the present one, kNotFound, kUnavailable (no quorum) and
// kDeadlineExceeded. Thread-safe.
class Store {
 public:
  virtual ~Store() = default;

  virtual absl::StatusOr<StoredValue> Get(const std::string& key) = 0;
  struct Page {
    std::vector<StoredValue> values;
    int64_t revision = 0;
    bool more = false;
  };
  // Keys that begin with `prefix`, in order, after `after` (empty: from the first); at most `limit` (0: all).
  virtual absl::StatusOr<Page> List(const std::string& prefix, const std::string& after, int64_t limit) = 0;
  // `expected`: the present revision, 0 for "not there yet", nullopt for "whatever it is". Returns the new
  // one.
  virtual absl::StatusOr<int64_t> Put(const std::string& key, const std::string& value,
                                      std::optional<int64_t> expected) = 0;
  virtual absl::StatusOr<int64_t> Delete(const std::string& key, std::optional<int64_t> expected) = 0;
};

// For tests, and the contract in its shortest form.
class MemoryStore final : public Store {
 public:
  absl::StatusOr<StoredValue> Get(const std::string& key) override;
  absl::StatusOr<Page> List(const std::string& prefix, const std::string& after, int64_t limit) override;
  absl::StatusOr<int64_t> Put(const std::string& key, const std::string& value,
                              std::optional<int64_t> expected) override;
  absl::StatusOr<int64_t> Delete(const std::string& key, std::optional<int64_t> expected) override;

 private:
  std::mutex mutex_;
  int64_t revision_ = 1;
  std::map<std::string, StoredValue> values_;
};

}  // namespace k3saga::lab
