#include "agent/kube/velero.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "agent/kube/manifests.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::kube {
namespace {

using std::chrono::milliseconds;

constexpr char kGroup[] = "/apis/velero.io/v1";
constexpr char kOperation[] = "k3saga.io/operation";
constexpr char kKeepFor[] = "720h0m0s";
constexpr milliseconds kBetweenLooks{1000};
constexpr milliseconds kOneLook{10'000};
constexpr milliseconds kBackupComesBack{300'000};  // Velero looks into its storage once a minute

absl::Status VeleroFailed(std::string_view object, std::string_view detail, std::string_view remedy = "",
                          absl::StatusCode code = absl::StatusCode::kFailedPrecondition) {
  return ReasonError(MakeReason(v1::VELERO_FAILED, object, detail, remedy), code);
}

std::string LastPart(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

VeleroProgress VeleroProgressOf(const Json& object) {
  VeleroProgress progress;
  const std::string phase = TextAt(object, {"status", "phase"});
  progress.good = phase == "Completed";
  const bool failed =
      phase == "Failed" || phase == "PartiallyFailed" || phase == "FailedValidation" || phase == "Deleting";
  progress.ended = progress.good || failed;
  progress.detail = phase.empty() ? "New" : phase;
  const int64_t all = NumberAt(object, {"status", "progress", "totalItems"});
  if (all > 0) {
    const int64_t done = std::max(NumberAt(object, {"status", "progress", "itemsBackedUp"}),
                                  NumberAt(object, {"status", "progress", "itemsRestored"}));
    absl::StrAppend(&progress.detail, ", ", done, " of ", all, " items");
  }
  if (const int64_t errors = NumberAt(object, {"status", "errors"}); errors > 0) {
    absl::StrAppend(&progress.detail, ", ", errors, " errors");
  }
  for (const Json& error : ListAt(object, {"status", "validationErrors"})) {
    if (error.is_string()) absl::StrAppend(&progress.detail, "; ", error.get<std::string>());
  }
  const std::string reason = TextAt(object, {"status", "failureReason"});
  if (!reason.empty()) absl::StrAppend(&progress.detail, "; ", reason);
  return progress;
}

absl::StatusOr<Velero::Storage> Velero::FindStorage(const Patience& patience) {
  const auto locations = api_.List(absl::StrCat(kGroup, "/backupstoragelocations"), patience);
  if (absl::IsNotFound(locations.status())) {
    return VeleroFailed("velero", "this cluster has no Velero (no velero.io/v1 API)",
                        "install Velero, or empty backup.velero.namespaces");
  }
  K3SAGA_RETURN_IF_ERROR(locations.status());
  if (locations->empty()) {
    return VeleroFailed("velero", "Velero has no BackupStorageLocation: a backup would have nowhere to go",
                        "create one (velero backup-location create)");
  }
  const auto chosen = std::find_if(locations->begin(), locations->end(), [](const Json& each) {
    return TrueAt(each, {"spec", "default"});
  });
  const Json& location = chosen == locations->end() ? locations->front() : *chosen;
  Storage storage{TextAt(location, {"metadata", "namespace"}), TextAt(location, {"metadata", "name"})};
  if (TextAt(location, {"status", "phase"}) == "Unavailable") {
    return VeleroFailed(
        storage.location,
        absl::StrCat("Velero's storage is unavailable: ", TextAt(location, {"status", "message"})),
        "see velero backup-location get");
  }
  return storage;
}

absl::StatusOr<std::string> Velero::Create(const std::string& collection, Json object,
                                           const std::string& operation, const std::string& other_name,
                                           const Patience& patience) {
  std::string name = TextAt(object, {"metadata", "name"});
  // A name that is taken is of an earlier backup, which nobody may touch: then once more under a longer one.
  for (const std::string& candidate : {name, other_name}) {
    object["metadata"]["name"] = candidate;
    const Api::Request create{.method = "POST", .path = collection, .body = object};
    K3SAGA_ASSIGN_OR_RETURN(const Answer created, api_.Send(create, patience));
    const std::string path = absl::StrCat(collection, "/", Escape(candidate));
    if (created.ok()) return path;
    if (created.status != 409) {
      return VeleroFailed(candidate, std::string(ErrorOf(created, "POST " + collection).message()));
    }
    K3SAGA_ASSIGN_OR_RETURN(const Answer there, api_.Get(path, patience));
    if (TextAt(there.json, {"metadata", "annotations", kOperation}) == operation) return path;
  }
  return VeleroFailed(other_name, "an object of this name is there already, and it is not this operation's");
}

absl::Status Velero::Watch(const std::string& path, const Said& said, const Patience& patience) {
  const milliseconds end = clock_.Steady() + patience.timeout;
  std::string last_said;
  for (;;) {
    const milliseconds left = std::max(end - clock_.Steady(), milliseconds(1));
    const auto object = api_.Get(path, {std::min(left, kOneLook), patience.stop});
    VeleroProgress progress;
    if (object.ok()) {
      progress = VeleroProgressOf(object->json);
    } else if (absl::IsNotFound(object.status())) {
      return VeleroFailed(LastPart(path), "it was deleted before it had ended");
    } else {
      progress.detail = std::string(object.status().message());
    }
    if (progress.good) return absl::OkStatus();
    if (progress.ended) {
      return VeleroFailed(LastPart(path), progress.detail,
                          "see velero backup describe, velero restore describe");
    }
    if (said && progress.detail != last_said) said(last_said = progress.detail);
    if (clock_.Steady() + kBetweenLooks >= end) {
      return VeleroFailed(LastPart(path),
                          absl::StrCat("not at its end in time; last seen: ", progress.detail),
                          "is the Velero server running?", absl::StatusCode::kDeadlineExceeded);
    }
    if (!pauser_.Pause(kBetweenLooks, patience.stop)) return absl::CancelledError("cancelled");
  }
}

absl::StatusOr<std::string> Velero::Backup(const VeleroBackupRequest& request, const Said& said,
                                           const Patience& patience) {
  const milliseconds end = clock_.Steady() + patience.timeout;
  K3SAGA_ASSIGN_OR_RETURN(const Storage storage, FindStorage(patience));
  Json spec = {{"storageLocation", storage.location}, {"ttl", kKeepFor}};
  spec["includedNamespaces"] = request.namespaces;
  const Json annotations = {{kRolloutAnnotation, request.rollout}, {kOperation, request.operation}};
  const Json metadata = {
      {"name", request.name}, {"namespace", storage.name_space}, {"annotations", annotations}};
  K3SAGA_ASSIGN_OR_RETURN(
      const std::string path,
      Create(absl::StrCat(kGroup, "/namespaces/", Escape(storage.name_space), "/backups"),
             {{"apiVersion", "velero.io/v1"}, {"kind", "Backup"}, {"metadata", metadata}, {"spec", spec}},
             request.operation, absl::StrCat(request.name, "-", request.operation),
             {end - clock_.Steady(), patience.stop}));
  K3SAGA_RETURN_IF_ERROR(Watch(path, said, {end - clock_.Steady(), patience.stop}));
  return LastPart(path);
}

absl::Status Velero::AwaitBackup(const std::string& name_space, const std::string& name, const Said& said,
                                 const Patience& patience) {
  const std::string path =
      absl::StrCat(kGroup, "/namespaces/", Escape(name_space), "/backups/", Escape(name));
  const milliseconds end = clock_.Steady() + std::min(patience.timeout, kBackupComesBack);
  for (bool first = true;; first = false) {
    const milliseconds left = std::max(end - clock_.Steady(), milliseconds(1));
    const auto found = api_.Get(path, {std::min(left, kOneLook), patience.stop});
    if (found.ok()) return absl::OkStatus();
    if (clock_.Steady() + kBetweenLooks >= end) {
      return VeleroFailed(name,
                          absl::IsNotFound(found.status())
                              ? "Velero does not know this backup any more: it is gone from its storage too"
                              : std::string(found.status().message()),
                          "see velero backup get", absl::StatusCode::kDeadlineExceeded);
    }
    if (said && first) said("waits for Velero to read the backup from its storage");
    if (!pauser_.Pause(kBetweenLooks, patience.stop)) return absl::CancelledError("cancelled");
  }
}

absl::Status Velero::Restore(const VeleroRestoreRequest& request, const Said& said,
                             const Patience& patience) {
  const milliseconds end = clock_.Steady() + patience.timeout;
  K3SAGA_ASSIGN_OR_RETURN(const Storage storage, FindStorage(patience));
  // The datastore is older than the backup's object: a Restore would fail its validation until Velero brings
  // that back.
  K3SAGA_RETURN_IF_ERROR(
      AwaitBackup(storage.name_space, request.backup, said, {end - clock_.Steady(), patience.stop}));
  const std::string name = absl::StrCat(request.backup, "-", request.operation);
  const Json annotations = {{kRolloutAnnotation, request.rollout}, {kOperation, request.operation}};
  const Json metadata = {{"name", name}, {"namespace", storage.name_space}, {"annotations", annotations}};
  K3SAGA_ASSIGN_OR_RETURN(
      const std::string path,
      Create(absl::StrCat(kGroup, "/namespaces/", Escape(storage.name_space), "/restores"),
             {{"apiVersion", "velero.io/v1"},
              {"kind", "Restore"},
              {"metadata", metadata},
              {"spec", {{"backupName", request.backup}}}},
             request.operation, absl::StrCat(name, "-again"), {end - clock_.Steady(), patience.stop}));
  return Watch(path, said, {end - clock_.Steady(), patience.stop});
}

}  // namespace k3saga::kube
