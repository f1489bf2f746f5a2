#include "lab/k3s/velero.h"

#include "common/status_macros.h"
#include "lab/base/files.h"
#include "lab/base/layout.h"

namespace k3saga::lab {
namespace {

constexpr int kItems = 12;

Resource Kind(const std::string& plural, const std::string& kind) {
  return {"velero.io", "v1", plural, kind, true, true};
}
Resource BackupKind() { return Kind("backups", "Backup"); }
Resource RestoreKind() { return Kind("restores", "Restore"); }

// What its phase is next; "" when it stays.
std::string NextPhase(const std::string& phase, const std::string& mode) {
  if (phase.empty() || phase == "New") return "InProgress";
  if (phase != "InProgress" || mode == "hangs") return "";
  return mode == "fails" ? "PartiallyFailed" : "Completed";
}

absl::Status Advance(ObjectStore& objects, const Resource& kind, const json& each, const std::string& mode) {
  const std::string next = NextPhase(TextAt(each, {"status", "phase"}), mode);
  if (next.empty()) return absl::OkStatus();
  const bool done = next != "InProgress";
  const char* moved = kind.kind == "Backup" ? "itemsBackedUp" : "itemsRestored";
  const auto change = [&](json& object) {
    object["status"]["phase"] = next;
    object["status"][done ? "completionTimestamp" : "startTimestamp"] = FormatTime(NowMillis());
    object["status"]["progress"] = {{"totalItems", kItems}, {moved, done ? kItems : 1}};
    if (next == "PartiallyFailed") object["status"]["errors"] = 2;
    return true;
  };
  return objects.Modify(kind, NamespaceOf(each), NameOf(each), change).status();
}

absl::Status StoreBackups(ObjectStore& objects, const std::filesystem::path& storage) {
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<json> backups, objects.List(BackupKind()));
  for (const json& backup : backups) {
    const std::filesystem::path file = storage / (NameOf(backup) + ".json");
    if (TextAt(backup, {"status", "phase"}) != "Completed" || std::filesystem::exists(file)) continue;
    K3SAGA_RETURN_IF_ERROR(WriteFile(file, backup.dump()));
  }
  return absl::OkStatus();
}

// As Velero's backup sync controller: what the storage has and the cluster has not.
absl::Status BringBackBackups(ObjectStore& objects, const std::filesystem::path& storage) {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(storage, none)) {
    K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(entry.path()));
    json stored = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!stored.is_object()) continue;  // no file of ours
    const auto there = objects.Get(BackupKind(), NamespaceOf(stored), NameOf(stored));
    if (!absl::IsNotFound(there.status())) continue;
    stored["metadata"].erase("resourceVersion");
    K3SAGA_RETURN_IF_ERROR(objects.Create(BackupKind(), std::move(stored)).status());
  }
  return absl::OkStatus();
}

bool IsUnknownBackup(ObjectStore& objects, const json& restore) {
  const std::string backup = TextAt(restore, {"spec", "backupName"});
  return absl::IsNotFound(objects.Get(BackupKind(), NamespaceOf(restore), backup).status());
}

absl::Status RefuseRestore(ObjectStore& objects, const json& restore) {
  const auto change = [&](json& object) {
    const std::string why = "backup " + TextAt(restore, {"spec", "backupName"}) + " not found";
    object["status"] = {{"phase", "FailedValidation"}, {"validationErrors", {why}}};
    return true;
  };
  return objects.Modify(RestoreKind(), NamespaceOf(restore), NameOf(restore), change).status();
}

json Definition(const std::string& plural, const std::string& kind) {
  const json names = {{"plural", plural}, {"kind", kind}};
  return {{"metadata", {{"name", plural + ".velero.io"}}},
          {"spec",
           {{"group", "velero.io"},
            {"scope", "Namespaced"},
            {"names", names},
            {"versions", {{{"name", "v1"}}}}}}};
}

}  // namespace

absl::Status RunVelero(ObjectStore& objects, const std::filesystem::path& storage) {
  auto locations = objects.List(Kind("backupstoragelocations", "BackupStorageLocation"));
  if (!locations.ok() || locations->empty()) return locations.status();
  const std::string mode = TextAt(locations->front(), {"metadata", "annotations", kVeleroMode});
  const bool restores_fail = mode == "restores-fail";
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<json> backups, objects.List(BackupKind()));
  for (const json& backup : backups) {
    K3SAGA_RETURN_IF_ERROR(Advance(objects, BackupKind(), backup, restores_fail ? "good" : mode));
  }
  K3SAGA_RETURN_IF_ERROR(StoreBackups(objects, storage));
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<json> restores, objects.List(RestoreKind()));
  for (const json& restore : restores) {
    const bool fresh = TextAt(restore, {"status", "phase"}).empty();
    K3SAGA_RETURN_IF_ERROR(fresh && IsUnknownBackup(objects, restore)
                               ? RefuseRestore(objects, restore)
                               : Advance(objects, RestoreKind(), restore, restores_fail ? "fails" : mode));
  }
  return BringBackBackups(objects, storage);
}

std::vector<json> VeleroDefinitions() {
  return {Definition("backups", "Backup"), Definition("restores", "Restore"),
          Definition("backupstoragelocations", "BackupStorageLocation")};
}

json VeleroStorage(const std::string& mode) {
  const json metadata = {
      {"name", "default"}, {"namespace", "velero"}, {"annotations", {{kVeleroMode, mode}}}};
  return {{"metadata", metadata},
          {"spec", {{"default", true}, {"provider", "lab"}}},
          {"status", {{"phase", "Available"}}}};
}

}  // namespace k3saga::lab
