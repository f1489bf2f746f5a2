#include "coordinator/driver/backup_at_hand.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "common/reason.h"
#include "coordinator/driver/backup_copies.h"

namespace k3saga::driver {
namespace {

// Snapshots of large clusters have gigabytes.
constexpr std::chrono::minutes kForReading{30};
constexpr std::chrono::minutes kForSending{30};

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsAborted(status);
}

}  // namespace

BackupAtHand::BackupAtHand(OperationFollower::Edge edge, Job job)
    : edge_(std::move(edge)), job_(std::move(job)), deadline_at_(edge_.clock.Steady() + job_.deadline) {
  Read();
}

BackupAtHand::~BackupAtHand() { edge_.loop.CancelTimer(retry_timer_); }

void BackupAtHand::Read() {
  v1::Progress progress;
  progress.set_phase("read backup");
  progress.set_detail(job_.backup_id);
  job_.progress(progress);
  v1::VerifyBackupRequest request;
  request.set_id(job_.backup_id);
  reading_ = edge_.fleet.VerifyBackup(
      job_.node, request, kForReading,
      [this](const absl::StatusOr<v1::VerifyBackupReply>& reply) { HasRead(reply); });
}

void BackupAtHand::HasRead(const absl::StatusOr<v1::VerifyBackupReply>& reply) {
  if (reply.ok() && reply->sound()) return Finish(brought_);
  if (!reply.ok() && MayPass(reply.status())) return ReadLater(reply.status());
  if (!reply.ok() && !absl::IsNotFound(reply.status())) return Finish(reply.status());
  const std::string why =
      reply.ok() ? absl::StrCat(job_.node, " has backup ", job_.backup_id, " damaged: ", reply->problem())
                 : absl::StrCat(job_.node, " has no backup ", job_.backup_id, " (any more)");
  if (brought_) return Finish(absl::DataLossError(absl::StrCat(why, ", also once its copy was brought")));
  Bring(why);
}

void BackupAtHand::ReadLater(const absl::Status& because) {
  const auto delay = RetryDelay(breaks_++, edge_.random());
  if (edge_.clock.Steady() + delay >= deadline_at_) {
    return Finish(
        absl::DeadlineExceededError(absl::StrCat("backup ", job_.backup_id, " could not be read on ",
                                                 job_.node, ": ", std::string(because.message()))));
  }
  retry_timer_ = edge_.loop.After(delay, [this] {
    retry_timer_ = 0;
    Read();
  });
}

void BackupAtHand::Bring(const std::string& why) {
  if (job_.copies.empty()) return Finish(absl::DataLossError(why));
  push_ = std::make_unique<FilePush>(edge_, [folder = job_.copies, id = job_.backup_id](const FetchMoved&) {
    return FilesOfCopy(folder, id);
  });
  FilePush::Job push;
  push.node = job_.node;
  push.authority = job_.authority;
  push.deadline = kForSending;
  push.progress = job_.progress;
  push.done = [this, why](const absl::Status& status) {
    if (status.ok()) {
      brought_ = true;
      Read();
    } else if (absl::IsDeadlineExceeded(status) || ReasonOf(status).code() == v1::STALE_EPOCH) {
      Finish(status);
    } else {
      Finish(absl::DataLossError(
          absl::StrCat(why, "; its copy was not brought: ", std::string(status.message()))));
    }
  };
  sending_ = push_->Push(std::move(push));
}

void BackupAtHand::Finish(absl::StatusOr<bool> brought) {
  const auto done = job_.done;
  done(std::move(brought));
}

}  // namespace k3saga::driver
