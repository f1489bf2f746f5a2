#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

#include "k3saga/v1/facts.pb.h"

namespace k3saga::node {

// What a restore takes out of k3s's way on one server: <data-dir>/server/k3saga-aside/NAME, on the
// datastore's own file system, so that a move is one rename. Nothing is deleted here; snapshots
// stay in server/db/snapshots, where k3s has them. Every call is idempotent. k3s must not run.
class SetAside {
 public:
  // `name`: of the operation, [A-Za-z0-9._-]+.
  SetAside(const std::string& data_dir, std::string_view name);

  const std::string& folder() const { return folder_; }

  // server/db/etcd, or SQLite's files. When an earlier call moved one already (a restore that died half-way
  // left another), this one is put beside it under a number.
  absl::Status MoveDatastore(v1::Datastore datastore);
  // server/tls and server/cred: copied, or moved.
  absl::Status CopyCredentials();
  absl::Status MoveCredentials();

  // Where all of it lies: to be removed once the rollout is confirmed and nobody wants the old ones back.
  static std::string FolderIn(const std::string& data_dir);

 private:
  absl::Status Move(const std::string& path);

  const std::string server_;  // <data-dir>/server
  const std::string folder_;
};

}  // namespace k3saga::node
