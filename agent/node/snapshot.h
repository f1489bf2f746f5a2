#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/host_paths.h"
#include "agent/node/installation.h"
#include "k3saga/v1/operation.pb.h"

namespace k3saga::node {

struct BackupOptions {
  std::string id;            // folder's name: rollout and what for; [A-Za-z0-9._-]+
  std::string rollout = {};  // that asks for it; "" when the user does
  uint32_t keep = 0;         // newest ones of ours that stay; 0: all
  std::chrono::milliseconds deadline{120'000};
};

// Backups of a server: the datastore, its token, unit, environment and configuration and a manifest, in
// <state>/backups/ID, all 0600. Embedded etcd: `k3s etcd-snapshot`, checked against the hash in its tail and
// copied out. SQLite: its online backup API. An external datastore is not ours to copy. SNAPSHOT_FAILED says
// why.
class BackupStore {
 public:
  explicit BackupStore(StatePaths state);

  // Idempotent by id: a backup that is whole is returned as it is.
  absl::StatusOr<v1::BackupResult> Take(const Installation& installation, const BackupOptions& options);
  // Verified against its manifest; kNotFound when there is none.
  absl::StatusOr<v1::BackupResult> Find(std::string_view id) const;
  std::vector<std::string> Ids() const;  // whole ones, oldest first
  // As the manifest tells it; the content is not read. kNotFound when there is none.
  absl::StatusOr<v1::StoredBackup> Describe(std::string_view id) const;
  std::vector<v1::StoredBackup> List() const;  // newest first
  // The snapshot, or SQLite's copy, of a backup.
  absl::StatusOr<std::string> DatastorePath(std::string_view id) const;
  // A file of a backup, for Download. kNotFound; never a path outside of the backup.
  absl::StatusOr<std::string> FilePath(std::string_view id, std::string_view file_name) const;
  absl::Status Prune(uint32_t keep);

 private:
  const StatePaths state_;
};

// How this k3s is asked for a snapshot: before 1.21 the command has no subcommands.
std::vector<std::string> SnapshotCommand(const Installation& installation, std::string_view name);

// etcd's snapshots end with the SHA-256 of what is before it. kDataLoss when it does not match or there is
// none.
absl::Status VerifyEtcdSnapshot(const std::string& path);

// Copies a database that others are writing to.
absl::Status CopySqliteOnline(const std::string& from, const std::string& to,
                              std::chrono::milliseconds deadline);

}  // namespace k3saga::node
