#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/node/host_paths.h"

namespace k3saga::node {

// In place of a release's version: files that are to replace the agent itself.
inline constexpr std::string_view kAgentUploads = "k3saga-agent";
// Followed by a backup's id: a copy of it comes back from the coordinator.
inline constexpr std::string_view kBackupUploads = "backup/";
bool IsBackupUpload(std::string_view version);

// Files that the coordinator pushes: <state>/uploads/HASH while they come in, <state>/uploads/VERSION/FILE
// (the installer: uploads/installer/FILE, the agent's own: uploads/k3saga-agent/FILE, a backup's:
// backups/ID/FILE) when they are whole and their hash is right. Of a backup whose files change the manifest
// goes first: it is one again when its manifest has come, last of all. Names and hashes are checked here:
// nothing from the network becomes a path outside. Calls for one hash one after the other; otherwise
// thread-safe.
class UploadStore {
 public:
  explicit UploadStore(StatePaths state);

  struct Begun {
    uint64_t offset = 0;  // go on from here
    bool complete = false;
  };
  absl::StatusOr<Begun> Begin(std::string_view sha256, uint64_t bytes);
  // Bytes that are there already are skipped; a hole is kOutOfRange.
  absl::Status Append(std::string_view sha256, uint64_t offset, std::string_view data);
  // All is there: verified (kDataLoss and thrown away otherwise) and given its name. Returns its size.
  absl::StatusOr<uint64_t> Finish(std::string_view sha256, std::string_view version,
                                  std::string_view file_name);

  // kNotFound when nothing of that name was pushed. `version` "" is the installer's folder.
  absl::StatusOr<std::string> Find(std::string_view version, std::string_view file_name) const;
  // Drops what was pushed for this version.
  absl::Status Drop(std::string_view version);

 private:
  const StatePaths state_;
};

}  // namespace k3saga::node
