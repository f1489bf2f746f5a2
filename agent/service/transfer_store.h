#pragma once

#include <map>
#include <mutex>
#include <string>

#include "agent/node/snapshot.h"
#include "agent/node/uploads.h"
#include "agent/service/ports.h"

namespace k3saga::service {

// Transfers on this node's disk. Thread-safe.
class TransferStore final : public Transfers {
 public:
  // Both must outlive it.
  TransferStore(node::UploadStore* uploads, const node::BackupStore* backups)
      : uploads_(*uploads), backups_(*backups) {}

  absl::StatusOr<v1::BeginUploadReply> BeginUpload(std::string_view sha256, uint64_t bytes) override;
  absl::Status Append(std::string_view sha256, uint64_t offset, std::string_view data) override;
  absl::StatusOr<uint64_t> FinishUpload(std::string_view sha256, std::string_view version,
                                        std::string_view file_name) override;
  absl::StatusOr<std::string> BackupFile(std::string_view backup_id, std::string_view file_name) override;
  absl::StatusOr<v1::VerifyBackupReply> VerifyBackup(std::string_view backup_id) override;

 private:
  // How much of a file is still to come, by what was announced and appended in this process.
  struct Incoming {
    uint64_t announced = 0;
    uint64_t here = 0;
  };

  struct Named {
    std::string version;
    std::string file_name;
  };

  node::UploadStore& uploads_;
  const node::BackupStore& backups_;
  std::mutex mutex_;
  std::map<std::string, Incoming, std::less<>> incoming_;  // mutex_; by hash, until it is whole
  std::map<std::string, Named, std::less<>> named_;        // mutex_; by hash, once it has its name
};

}  // namespace k3saga::service
