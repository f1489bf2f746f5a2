#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/host/loop.h"
#include "coordinator/fleet/fleet.h"
#include "k3saga/v1/operation.pb.h"

namespace k3saga::driver {

// The user's command that backs up an external datastore, run once on this machine: by argument vector, with
// this process's environment and K3SAGA_ROLLOUT, K3SAGA_BACKUP. Exit 0 means done. After a coordinator's
// death it may be run again under the same name.
//
// `done` runs on the loop's thread, never after this was destroyed; destroying waits for the command, which
// its deadline bounds.
class ExternalBackup final : public fleet::Call {
 public:
  struct Job {
    std::vector<std::string> argv;
    std::string rollout;
    std::string name;
    std::chrono::milliseconds deadline;
  };
  using Done = std::function<void(v1::Outcome)>;

  ExternalBackup(Loop& loop, Job job, Done done);
  ~ExternalBackup() override;

 private:
  std::shared_ptr<bool> alive_;
  std::thread thread_;
};

}  // namespace k3saga::driver
