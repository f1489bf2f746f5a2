#include "lab/k3s/velero.h"

#include "common/status_macros.h"
#include "lab/base/layout.h"

namespace k3saga::lab {
namespace {

constexpr int kItems = 12;

Resource Kind(const std::string& plural, const std::string& kind) {
  return {"velero.io", "v1", plural, kind, true, true};
}

// What its phase is next; "" when it stays.
std::string NextPhase(const std::string& phase, const std::string& mode) {
  if (phase.empty() || phase == "New") return "InProgress";
  if (phase != "InProgress" || mode == "hangs") return "";
  return mode == "fails" ? "PartiallyFailed" : "Completed";
}

absl::Status Advance(ObjectStore& objects, const Resource& kind, const std::string& mode) {
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<json> all, objects.List(kind));
  for (const json& each : all) {
    const std::string next = NextPhase(TextAt(each, {"status", "phase"}), mode);
    if (next.empty()) continue;
    const bool done = next != "InProgress";
    const auto change = [&](json& object) {
      object["status"]["phase"] = next;
      object["status"][done ? "completionTimestamp" : "startTimestamp"] = FormatTime(NowMillis());
      object["status"]["progress"] = {{"totalItems", kItems}, {"itemsBackedUp", done ? kItems : 1}};
      if (next == "PartiallyFailed") object["status"]["errors"] = 2;
      return true;
    };
    K3SAGA_RETURN_IF_ERROR(objects.Modify(kind, NamespaceOf(each), NameOf(each), change).status());
  }
  return absl::OkStatus();
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

absl::Status RunVelero(ObjectStore& objects) {
  auto locations = objects.List(Kind("backupstoragelocations", "BackupStorageLocation"));
  if (!locations.ok() || locations->empty()) return locations.status();
  const std::string mode = TextAt(locations->front(), {"metadata", "annotations", kVeleroMode});
  K3SAGA_RETURN_IF_ERROR(Advance(objects, Kind("backups", "Backup"), mode));
  return Advance(objects, Kind("restores", "Restore"), mode);
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
