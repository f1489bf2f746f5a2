#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "coordinator/driver/file_push.h"
#include "coordinator/driver/operation_follower.h"
#include "coordinator/fleet/fleet.h"

namespace k3saga::driver {

// Makes sure that a node has a backup, whole: it is read there, and where it is gone or damaged and a copy of
// it lies on this machine, the copy is read, brought to the node and read there once more. Whoever asks again
// after a death goes on where that stood. Loop's thread.
class BackupAtHand final : public fleet::Call {
 public:
  struct Job {
    std::string node;
    v1::Authority authority;
    std::string backup_id;
    std::string copies;                  // the folder of the copies here (backup.copy_to); "": there are none
    std::chrono::milliseconds deadline;  // for the agent to be reached; reading and sending have their own
    std::function<void(const v1::Progress&)> progress;
    // Whether it had to be brought. kDataLoss: the node has it not, or not whole, and nothing here helps.
    // kDeadlineExceeded: nobody knows. May destroy this.
    std::function<void(absl::StatusOr<bool> brought)> done;
  };

  BackupAtHand(OperationFollower::Edge edge, Job job);
  ~BackupAtHand() override;

 private:
  void Read();
  void HasRead(const absl::StatusOr<v1::VerifyBackupReply>& reply);
  void ReadLater(const absl::Status& because);
  void Bring(const std::string& why);
  void Finish(absl::StatusOr<bool> brought);

  const OperationFollower::Edge edge_;
  const Job job_;
  const std::chrono::milliseconds deadline_at_;
  fleet::CallHandle reading_;
  std::unique_ptr<FilePush> push_;  // outlives its call
  fleet::CallHandle sending_;
  Loop::TimerId retry_timer_ = 0;
  int breaks_ = 0;
  bool brought_ = false;
};

}  // namespace k3saga::driver
