#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lab/k3s/objects.h"
#include "lab/k3s/resources.h"
#include "lab/k3s/store.h"

namespace k3saga::lab {

// Kubernetes objects over a Store: the resourceVersion is the store's revision, a stale one is kAborted.
// Thread-safe as the store is.
class ObjectStore {
 public:
  explicit ObjectStore(Store& store) : store_(store) {}

  absl::StatusOr<json> Get(const Resource& resource, std::string_view name_space, std::string_view name);
  // All namespaces when `name_space` is empty.
  absl::StatusOr<std::vector<json>> List(const Resource& resource, std::string_view name_space = "");
  struct Page {
    std::vector<json> items;
    std::string next;  // token for the next page, "" at the end
    int64_t revision = 0;
  };
  absl::StatusOr<Page> ListPage(const Resource& resource, std::string_view name_space,
                                const std::string& token, int64_t limit);

  // Fills in apiVersion, kind, uid, creationTimestamp and a generated name. kAlreadyExists when it is there.
  absl::StatusOr<json> Create(const Resource& resource, json object);
  // With a resourceVersion in the object: only if it is the present one.
  absl::StatusOr<json> Update(const Resource& resource, json object);
  // Reads, changes, writes, again when somebody else was faster. `change` returns false to leave it alone.
  absl::StatusOr<json> Modify(const Resource& resource, std::string_view name_space, std::string_view name,
                              const std::function<bool(json&)>& change);
  absl::Status Remove(const Resource& resource, const json& object);

 private:
  Store& store_;
};

std::string NameOf(const json& object);
std::string NamespaceOf(const json& object);

}  // namespace k3saga::lab
