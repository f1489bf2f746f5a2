#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "coordinator/driver/operation_follower.h"
#include "coordinator/fleet/fleet.h"

namespace k3saga::driver {

// One file of a backup, as its manifest describes it.
struct BackupFile {
  std::string name;
  std::string sha256;
};

// The files that a backup's manifest.json lists. kDataLoss for anything that is not one, or that names what
// is not a plain file name: a manifest comes from the network.
absl::StatusOr<std::vector<BackupFile>> ParseBackupManifest(std::string_view json);

// Reads a finished backup off its node into a folder of this machine, FOLDER/ID/ (0700), and verifies every
// file against the manifest. Files that are there and right are not read again, so that a coordinator that
// died in between goes on. Loop's thread; files are hashed beside it.
class BackupCopy final : public fleet::Call {
 public:
  struct Job {
    std::string node;
    v1::Authority authority;
    std::string backup_id;
    std::string folder;
    std::chrono::milliseconds deadline;
    std::function<void(const v1::Progress&)> progress;
    std::function<void(absl::Status)> done;  // may destroy the copy
  };

  BackupCopy(OperationFollower::Edge edge, Job job);
  ~BackupCopy() override;

 private:
  void Read(const std::string& name, std::function<void()> then);
  void ReadManifest();
  void CheckNext();
  void Checked(bool right);
  void Finish(const absl::Status& status);
  std::string PathOf(const std::string& name) const;

  const OperationFollower::Edge edge_;
  const Job job_;
  const std::chrono::milliseconds deadline_at_;
  std::vector<BackupFile> files_;
  size_t next_ = 0;
  bool read_ = false;  // the next file was just read: wrong now is wrong for good
  fleet::CallHandle call_;
  Loop::TimerId deadline_timer_ = 0;
  Loop::TimerId retry_timer_ = 0;
  int breaks_ = 0;
  std::string last_error_;
  std::thread hasher_;
  std::shared_ptr<bool> alive_;
};

}  // namespace k3saga::driver
