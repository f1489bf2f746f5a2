#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <string>

#include "agent/kube/api.h"
#include "agent/kube/json.h"
#include "agent/kube/kube.h"
#include "common/host/clock.h"
#include "common/host/pause.h"

namespace k3saga::kube {

// Pure: what a Backup's or Restore's status says of its end.
struct VeleroProgress {
  bool ended = false;
  bool good = false;   // ended, and everything was done
  std::string detail;  // "InProgress, 120 of 300 items", "PartiallyFailed: 2 errors"
};
VeleroProgress VeleroProgressOf(const Json& object);

// Velero through one API server; the methods of kube::Kube with the same names do what they say.
class Velero {
 public:
  using Said = std::function<void(const std::string&)>;

  Velero(Api& api, const Clock& clock, Pauser& pauser) : api_(api), clock_(clock), pauser_(pauser) {}

  absl::StatusOr<std::string> Backup(const VeleroBackupRequest& request, const Said& said,
                                     const Patience& patience);
  absl::Status Restore(const VeleroRestoreRequest& request, const Said& said, const Patience& patience);

 private:
  struct Storage {
    std::string name_space;  // where Velero was installed
    std::string location;
  };
  absl::StatusOr<Storage> FindStorage(const Patience& patience);
  // Creates the object, or finds the one that this operation created before; returns its path.
  absl::StatusOr<std::string> Create(const std::string& collection, Json object, const std::string& operation,
                                     const std::string& other_name, const Patience& patience);
  // Until Velero knows a Backup of this name, or has had the time to find it in its storage.
  absl::Status AwaitBackup(const std::string& name_space, const std::string& name, const Said& said,
                           const Patience& patience);
  absl::Status Watch(const std::string& path, const Said& said, const Patience& patience);

  Api& api_;
  const Clock& clock_;
  Pauser& pauser_;
};

}  // namespace k3saga::kube
