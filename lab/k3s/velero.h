#pragma once

#include <absl/status/status.h>

#include <cstdint>

#include "lab/k3s/object_store.h"

namespace k3saga::lab {

// Where the lab's Velero is told how to behave: an annotation of its storage location.
inline constexpr char kVeleroMode[] = "k3saga-lab/velero";  // "good", "fails", "hangs"

// A stand-in for Velero's controller: one pass that brings velero.io/v1 Backups and Restores on, New to
// InProgress to their end, where there is a BackupStorageLocation. Nothing is stored anywhere. Idempotent.
absl::Status RunVelero(ObjectStore& objects);

// The objects that installing Velero leaves: for whoever creates them through an API.
std::vector<json> VeleroDefinitions();
json VeleroStorage(const std::string& mode);

}  // namespace k3saga::lab
