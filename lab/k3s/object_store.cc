#include "lab/k3s/object_store.h"

#include <absl/strings/numbers.h>

#include "common/status_macros.h"
#include "lab/base/layout.h"

namespace k3saga::lab {
namespace {

constexpr int kModifyAttempts = 20;

absl::StatusOr<json> Decode(const StoredValue& stored) {
  json object = json::parse(stored.value, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::DataLossError(absl::StrCat(stored.key, " is not a JSON object"));
  object["metadata"]["resourceVersion"] = std::to_string(stored.revision);
  return object;
}

std::string Encode(json object) {
  object["metadata"].erase("resourceVersion");
  return object.dump();
}

std::string NewUid() {
  const std::string hex = RandomHex(16);
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-", hex.substr(16, 4),
                      "-", hex.substr(20));
}

}  // namespace

std::string NameOf(const json& object) { return TextAt(object, {"metadata", "name"}); }
std::string NamespaceOf(const json& object) { return TextAt(object, {"metadata", "namespace"}); }

absl::StatusOr<json> ObjectStore::Get(const Resource& resource, std::string_view name_space,
                                      std::string_view name) {
  K3SAGA_ASSIGN_OR_RETURN(StoredValue stored, store_.Get(resource.Key(name_space, name)));
  return Decode(stored);
}

absl::StatusOr<std::vector<json>> ObjectStore::List(const Resource& resource, std::string_view name_space) {
  K3SAGA_ASSIGN_OR_RETURN(Page page, ListPage(resource, name_space, "", 0));
  return std::move(page.items);
}

absl::StatusOr<ObjectStore::Page> ObjectStore::ListPage(const Resource& resource, std::string_view name_space,
                                                        const std::string& token, int64_t limit) {
  std::string prefix = resource.KeyPrefix();
  if (resource.namespaced && !name_space.empty()) prefix += std::string(name_space) + "/";
  K3SAGA_ASSIGN_OR_RETURN(Store::Page stored, store_.List(prefix, token, limit));
  Page page;
  page.revision = stored.revision;
  if (stored.more) page.next = stored.values.back().key;
  for (const StoredValue& value : stored.values) {
    K3SAGA_ASSIGN_OR_RETURN(json object, Decode(value));
    page.items.push_back(std::move(object));
  }
  return page;
}

absl::StatusOr<json> ObjectStore::Create(const Resource& resource, json object) {
  json& metadata = object["metadata"];
  if (NameOf(object).empty()) {
    metadata["name"] = TextAt(object, {"metadata", "generateName"}) + RandomHex(3).substr(0, 5);
  }
  object["apiVersion"] = resource.ApiVersion();
  object["kind"] = resource.kind;
  metadata["uid"] = NewUid();
  metadata["creationTimestamp"] = FormatTime(NowMillis());
  if (resource.namespaced && NamespaceOf(object).empty()) metadata["namespace"] = "default";
  const std::string key = resource.Key(NamespaceOf(object), NameOf(object));
  auto revision = store_.Put(key, Encode(object), 0);
  if (absl::IsAborted(revision.status())) return absl::AlreadyExistsError(NameOf(object));
  K3SAGA_RETURN_IF_ERROR(revision.status());
  metadata["resourceVersion"] = std::to_string(*revision);
  return object;
}

absl::StatusOr<json> ObjectStore::Update(const Resource& resource, json object) {
  std::optional<int64_t> expected;
  int64_t parsed = 0;
  if (absl::SimpleAtoi(TextAt(object, {"metadata", "resourceVersion"}), &parsed)) expected = parsed;
  K3SAGA_ASSIGN_OR_RETURN(
      const int64_t revision,
      store_.Put(resource.Key(NamespaceOf(object), NameOf(object)), Encode(object), expected));
  object["metadata"]["resourceVersion"] = std::to_string(revision);
  return object;
}

absl::StatusOr<json> ObjectStore::Modify(const Resource& resource, std::string_view name_space,
                                         std::string_view name, const std::function<bool(json&)>& change) {
  for (int attempt = 0; attempt < kModifyAttempts; ++attempt) {
    K3SAGA_ASSIGN_OR_RETURN(json object, Get(resource, name_space, name));
    if (!change(object)) return object;
    absl::StatusOr<json> updated = Update(resource, std::move(object));
    if (!absl::IsAborted(updated.status())) return updated;
  }
  return absl::AbortedError(absl::StrCat(std::string(name), " changes faster than it can be updated"));
}

absl::Status ObjectStore::Remove(const Resource& resource, const json& object) {
  std::optional<int64_t> expected;
  int64_t parsed = 0;
  if (absl::SimpleAtoi(TextAt(object, {"metadata", "resourceVersion"}), &parsed)) expected = parsed;
  return store_.Delete(resource.Key(NamespaceOf(object), NameOf(object)), expected).status();
}

}  // namespace k3saga::lab
