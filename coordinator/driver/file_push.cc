#include "coordinator/driver/file_push.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

namespace k3saga::driver {

using std::chrono::milliseconds;

namespace {

// A cut, an agent that restarts, a file that arrived damaged. Anything else is the agent's word, or trouble
// with our own file: asking again will not help.
bool MayPass(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

}  // namespace

// One node's files, one after the other.
class FilePush::Running final : public fleet::Call {
 public:
  Running(FilePush& push, Job job)
      : push_(push), job_(std::move(job)), deadline_at_(push.edge_.clock.Steady() + job_.deadline) {
    deadline_timer_ = push_.edge_.loop.After(job_.deadline, [this] {
      deadline_timer_ = 0;
      Finish(absl::DeadlineExceededError(
          absl::StrCat("not sent within ", job_.deadline.count() / 1000, " s", last_error_)));
    });
  }

  ~Running() override { Leave(); }

  void Begin() {
    active_ = true;
    SendNext();
  }

  void ReportFetch(const std::string& file, uint32_t percent) {
    v1::Progress progress;
    progress.set_phase("fetch");
    progress.set_detail(file);
    progress.set_percent(percent);
    job_.progress(progress);
  }

  void Finish(const absl::Status& status) {
    Leave();
    job_.done(status);  // may destroy this
  }

 private:
  void SendNext() {
    const std::vector<PushedFile>& files = **push_.files_;
    while (next_ < files.size() && !Wants(files[next_])) ++next_;
    if (next_ == files.size()) {
      Finish(absl::OkStatus());
      return;
    }
    const milliseconds left = std::max(deadline_at_ - push_.edge_.clock.Steady(), milliseconds(1));
    upload_ = push_.edge_.fleet.Upload(
        job_.node, job_.authority, files[next_].file, left,
        [this](uint64_t bytes, uint64_t total) { Report(bytes, total); },
        [this](const absl::StatusOr<v1::UploadReply>& reply) { Sent(reply.status()); });
  }

  bool Wants(const PushedFile& file) const {
    return file.architecture.empty() || job_.architecture.empty() || file.architecture == job_.architecture;
  }

  void Report(uint64_t bytes, uint64_t total) {
    v1::Progress progress;
    progress.set_phase("push");
    progress.set_detail((**push_.files_)[next_].file.file_name);
    progress.set_percent(total == 0 ? 100 : static_cast<uint32_t>(bytes * 100 / total));
    if (progress.percent() == last_percent_) return;
    last_percent_ = progress.percent();
    job_.progress(progress);
  }

  void Sent(const absl::Status& status) {
    if (status.ok()) {
      ++next_;
      breaks_ = 0;
      SendNext();
      return;
    }
    if (!MayPass(status)) {
      Finish(status);
      return;
    }
    last_error_ = absl::StrCat(": ", std::string(status.message()));
    retry_timer_ = push_.edge_.loop.After(RetryDelay(breaks_++, push_.edge_.random()), [this] {
      retry_timer_ = 0;
      SendNext();
    });
  }

  // Gives its place to the next one.
  void Leave() {
    push_.edge_.loop.CancelTimer(std::exchange(deadline_timer_, 0));
    push_.edge_.loop.CancelTimer(std::exchange(retry_timer_, 0));
    auto& waiting = push_.waiting_;
    waiting.erase(std::remove(waiting.begin(), waiting.end(), this), waiting.end());
    if (!std::exchange(active_, false)) return;
    --push_.active_;
    push_.edge_.loop.Post([self = push_.self_] {
      if (*self != nullptr) (*self)->StartWaiting();
    });
  }

  FilePush& push_;
  const Job job_;
  const milliseconds deadline_at_;
  fleet::CallHandle upload_;
  Loop::TimerId deadline_timer_ = 0;
  Loop::TimerId retry_timer_ = 0;
  size_t next_ = 0;
  uint32_t last_percent_ = 101;
  int breaks_ = 0;
  bool active_ = false;
  std::string last_error_;
};

FilePush::FilePush(OperationFollower::Edge edge, List list)
    : edge_(std::move(edge)), list_(std::move(list)), self_(std::make_shared<FilePush*>(this)) {}

FilePush::~FilePush() {
  *self_ = nullptr;
  lister_.request_stop();
  if (lister_.joinable()) lister_.join();
}

fleet::CallHandle FilePush::Push(Job job) {
  auto running = std::make_unique<Running>(*this, std::move(job));
  waiting_.push_back(running.get());
  if (!listing_) ListFiles();
  edge_.loop.Post([self = self_] {
    if (*self != nullptr) (*self)->StartWaiting();
  });
  return running;
}

void FilePush::ListFiles() {
  listing_ = true;
  lister_ = std::jthread([list = list_, &loop = edge_.loop, self = self_](const std::stop_token& stop) {
    std::pair<std::string, uint32_t> reported;  // each percent once
    auto files = std::make_shared<absl::StatusOr<std::vector<PushedFile>>>(
        list([&](const std::string& file, uint64_t done, uint64_t total) {
          const uint32_t percent = total == 0 ? 0 : static_cast<uint32_t>(done * 100 / total);
          if (std::pair now(file, percent); total != 0 && now != reported) {
            reported = std::move(now);
            loop.Post([self, file, percent] {
              if (*self != nullptr) (*self)->ReportFetch(file, percent);
            });
          }
          return !stop.stop_requested();
        }));
    loop.Post([self, files] {
      if (*self == nullptr) return;
      (*self)->files_ = std::make_unique<absl::StatusOr<std::vector<PushedFile>>>(std::move(*files));
      (*self)->StartWaiting();
    });
  });
}

void FilePush::ReportFetch(const std::string& file, uint32_t percent) {
  // A copy: whoever hears of it may take back its job.
  const std::deque<Running*> waiting = waiting_;
  for (Running* job : waiting) {
    if (std::find(waiting_.begin(), waiting_.end(), job) != waiting_.end()) job->ReportFetch(file, percent);
  }
}

// One by one from the front: what hears its answer may take back others.
void FilePush::AnswerAll(const absl::Status& status) {
  for (size_t left = waiting_.size(); left > 0 && !waiting_.empty(); --left) {
    Running* job = waiting_.front();
    waiting_.pop_front();
    job->Finish(status);
  }
}

void FilePush::StartWaiting() {
  if (files_ == nullptr) return;
  if (!files_->ok()) {
    const absl::Status why = files_->status();
    files_.reset();
    listing_ = false;
    AnswerAll(why);
    return;
  }
  while (active_ < kNodesAtATime && !waiting_.empty()) {
    Running* next = waiting_.front();
    waiting_.pop_front();
    ++active_;
    next->Begin();
  }
}

}  // namespace k3saga::driver
