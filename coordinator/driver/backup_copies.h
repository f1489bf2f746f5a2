#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/driver/release_files.h"
#include "k3saga/v1/facts.pb.h"

namespace k3saga::driver {

// Backups in a folder of this machine (backup.copy_to), one folder a backup, as BackupCopy leaves them.
struct CopiedBackup {
  std::string node;  // that took it
  std::string path;
  v1::StoredBackup backup;  // as its manifest describes it
};

// Newest first, as their manifests tell; what has none is no copy.
std::vector<CopiedBackup> ListCopies(const std::string& folder);

// The files of a copy as they are pushed to an agent, the manifest last: a folder without it is no backup.
// Reads and compares every file, as VerifyCopy does.
absl::StatusOr<std::vector<PushedFile>> FilesOfCopy(const std::string& folder, std::string_view id);

// Reads every file and compares it with the manifest. kNotFound: no such copy; kDataLoss names the file that
// is damaged or gone.
absl::Status VerifyCopy(const std::string& folder, std::string_view id);

// Removes all but the newest `keep` (0: keeps all) and the named one.
absl::Status PruneCopies(const std::string& folder, uint32_t keep, std::string_view except);

}  // namespace k3saga::driver
