#include "coordinator/driver/backup_copy.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/host/files.h"

namespace k3saga::driver {
namespace {

using std::chrono::milliseconds;

constexpr char kManifest[] = "manifest.json";

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.size() < 256 &&
         name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
             std::string_view::npos;
}

}  // namespace

absl::StatusOr<std::vector<BackupFile>> ParseBackupManifest(std::string_view json) {
  const auto manifest = nlohmann::json::parse(json, nullptr, false);
  const auto bad = [](const std::string& what) {
    return absl::DataLossError(absl::StrCat("the backup's manifest ", what));
  };
  if (!manifest.is_object() || !manifest.contains("files") || !manifest["files"].is_object()) {
    return bad("is not one");
  }
  std::vector<BackupFile> files;
  for (const auto& [name, file] : manifest["files"].items()) {
    if (!IsPlainName(name)) return bad(absl::StrCat("names \"", name, "\", which is not a plain file name"));
    if (!file.is_object() || !file.contains("sha256") || !file["sha256"].is_string()) {
      return bad(absl::StrCat("has no hash for ", name));
    }
    files.push_back({name, file["sha256"].get<std::string>()});
  }
  return files;
}

BackupCopy::BackupCopy(OperationFollower::Edge edge, Job job)
    : edge_(std::move(edge)),
      job_(std::move(job)),
      deadline_at_(edge_.clock.Steady() + job_.deadline),
      alive_(std::make_shared<bool>(true)) {
  deadline_timer_ = edge_.loop.After(job_.deadline, [this] {
    deadline_timer_ = 0;
    Finish(absl::DeadlineExceededError(
        absl::StrCat("not copied within ", job_.deadline.count() / 1000, " s", last_error_)));
  });
  edge_.loop.Post([this, alive = alive_] {
    if (*alive) ReadManifest();
  });
}

BackupCopy::~BackupCopy() {
  *alive_ = false;
  edge_.loop.CancelTimer(deadline_timer_);
  edge_.loop.CancelTimer(retry_timer_);
  if (hasher_.joinable()) hasher_.join();
}

std::string BackupCopy::PathOf(const std::string& name) const {
  return JoinPath(JoinPath(job_.folder, job_.backup_id), name);
}

void BackupCopy::ReadManifest() {
  if (!IsPlainName(job_.backup_id)) {
    Finish(absl::DataLossError("the backup's id is not a plain name"));
    return;
  }
  if (absl::Status status = MakeDirectories(JoinPath(job_.folder, job_.backup_id), 0700); !status.ok()) {
    Finish(status);
    return;
  }
  Read(kManifest, [this] {
    auto text = ReadFile(PathOf(kManifest));
    auto files = text.ok() ? ParseBackupManifest(*text) : text.status();
    if (!files.ok()) {
      Finish(files.status());
      return;
    }
    files_ = *std::move(files);
    CheckNext();
  });
}

void BackupCopy::Read(const std::string& name, std::function<void()> then) {
  const milliseconds left = std::max(deadline_at_ - edge_.clock.Steady(), milliseconds(1));
  call_ = edge_.fleet.Download(
      job_.node, job_.authority, {job_.backup_id, name, PathOf(name)}, left,
      [this, name](uint64_t bytes, uint64_t total) {
        v1::Progress progress;
        progress.set_phase("copy backup");
        progress.set_detail(name);
        progress.set_percent(total == 0 ? 100 : static_cast<uint32_t>(bytes * 100 / total));
        job_.progress(progress);
      },
      [this, name, then = std::move(then)](const absl::StatusOr<uint64_t>& size) {
        if (size.ok()) {
          breaks_ = 0;
          then();
          return;
        }
        // Not there, not allowed, no room: asking again will not help.
        if (!absl::IsUnavailable(size.status()) && !absl::IsDeadlineExceeded(size.status())) {
          Finish(size.status());
          return;
        }
        last_error_ = absl::StrCat(": ", std::string(size.status().message()));
        retry_timer_ = edge_.loop.After(RetryDelay(breaks_++, edge_.random()), [this, name, then] {
          retry_timer_ = 0;
          Read(name, then);
        });
      });
}

void BackupCopy::CheckNext() {
  if (next_ == files_.size()) {
    Finish(SyncDirectory(JoinPath(job_.folder, job_.backup_id)));
    return;
  }
  if (hasher_.joinable()) hasher_.join();  // it has posted its answer
  hasher_ = std::thread([this, alive = alive_, &loop = edge_.loop, path = PathOf(files_[next_].name),
                         expected = files_[next_].sha256] {
    const auto hash = Sha256OfFile(path);
    loop.Post([this, alive, right = hash.ok() && *hash == expected] {
      if (*alive) Checked(right);
    });
  });
}

void BackupCopy::Checked(bool right) {
  const std::string& name = files_[next_].name;
  if (right) {
    ++next_;
    read_ = false;
    CheckNext();
  } else if (read_) {
    (void)RemoveFileDurably(PathOf(name));
    Finish(absl::DataLossError(
        absl::StrCat(name, " is not what the backup's manifest says; the copy was removed")));
  } else {
    read_ = true;
    Read(name, [this] { CheckNext(); });
  }
}

void BackupCopy::Finish(const absl::Status& status) {
  edge_.loop.CancelTimer(std::exchange(deadline_timer_, 0));
  edge_.loop.CancelTimer(std::exchange(retry_timer_, 0));
  call_.reset();
  *alive_ = false;  // nothing more is heard; what the hasher still posts is dropped
  const auto done = job_.done;
  done(status);
}

}  // namespace k3saga::driver
