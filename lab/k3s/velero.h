#pragma once

#include <absl/status/status.h>

#include <filesystem>
#include <string>
#include <vector>

#include "lab/k3s/object_store.h"

namespace k3saga::lab {

// Where the lab's Velero is told how to behave: an annotation of its storage location.
inline constexpr char kVeleroMode[] = "k3saga-lab/velero";  // "good", "fails", "hangs", "restores-fail"

// A stand-in for Velero's controllers: one pass that brings velero.io/v1 Backups and Restores on, New to
// InProgress to their end, where there is a BackupStorageLocation. Of a backup its object alone is stored, as
// a file in `storage`, which is outside of the cluster: one that the cluster does not know is brought back
// from there. A Restore of a Backup that is not in the cluster fails its validation. Idempotent.
absl::Status RunVelero(ObjectStore& objects, const std::filesystem::path& storage);

// The objects that installing Velero leaves: for whoever creates them through an API.
std::vector<json> VeleroDefinitions();
json VeleroStorage(const std::string& mode);

}  // namespace k3saga::lab
