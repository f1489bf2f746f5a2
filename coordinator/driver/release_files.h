#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "coordinator/fleet/fleet.h"
#include "k3saga/v1/operation.pb.h"

namespace k3saga::driver {

// Whether agents expect files of this release, or its installer, from the coordinator.
bool PushesFiles(const v1::Release& release);

// A file to push, and the architecture that needs it ("": every node).
struct PushedFile {
  fleet::UploadFile file;
  std::string architecture;
};

// The release's files in the folder of its COORDINATOR source (LOCATION/VERSION/FILE, as a FOLDER source has
// them), and the installer if that is pushed, each with its size and hash. Reads all of them: not for the
// loop's thread. URLs are not fetched: ReleaseCache brings them here first. kNotFound names the folder or
// file that is missing; at least a binary and a checksum file have to be there.
absl::StatusOr<std::vector<PushedFile>> ListPushedFiles(const v1::Release& release);

}  // namespace k3saga::driver
