#include "lab/k3s/store.h"

namespace k3saga::lab {

absl::StatusOr<StoredValue> MemoryStore::Get(const std::string& key) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto found = values_.find(key);
  if (found == values_.end()) return absl::NotFoundError(key);
  return found->second;
}

absl::StatusOr<Store::Page> MemoryStore::List(const std::string& prefix, const std::string& after,
                                              int64_t limit) {
  std::lock_guard<std::mutex> lock(mutex_);
  Page page;
  page.revision = revision_;
  auto at = after.empty() ? values_.lower_bound(prefix) : values_.upper_bound(after);
  for (; at != values_.end() && at->first.compare(0, prefix.size(), prefix) == 0; ++at) {
    if (limit > 0 && static_cast<int64_t>(page.values.size()) == limit) {
      page.more = true;
      break;
    }
    page.values.push_back(at->second);
  }
  return page;
}

absl::StatusOr<int64_t> MemoryStore::Put(const std::string& key, const std::string& value,
                                         std::optional<int64_t> expected) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto found = values_.find(key);
  const int64_t present = found == values_.end() ? 0 : found->second.revision;
  if (expected.has_value() && *expected != present) return absl::AbortedError(key);
  values_[key] = {key, value, ++revision_};
  return revision_;
}

absl::StatusOr<int64_t> MemoryStore::Delete(const std::string& key, std::optional<int64_t> expected) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto found = values_.find(key);
  if (found == values_.end()) return absl::NotFoundError(key);
  if (expected.has_value() && *expected != found->second.revision) return absl::AbortedError(key);
  values_.erase(found);
  return ++revision_;
}

}  // namespace k3saga::lab
