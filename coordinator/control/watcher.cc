#include "coordinator/control/watcher.h"

#include <algorithm>
#include <utility>

namespace k3saga::control {
namespace {

constexpr size_t kOutbox = 256;

}  // namespace

void Watcher::Append(const std::vector<v1::Event>& events, size_t most) {
  while (next_event_ < events.size() && outbox_.size() < most) {
    *outbox_.emplace_back().mutable_event() = events[next_event_++];
  }
  if (next_event_ < events.size()) return;
  for (auto& [sequence, progress] : progress_)
    *outbox_.emplace_back().mutable_progress() = std::move(progress);
  progress_.clear();
}

void Watcher::Feed(const std::vector<v1::Event>& events) {
  std::lock_guard lock(mutex_);
  if (closing_ || outbox_.size() >= kOutbox) return;
  Append(events, kOutbox);
  // Nothing to send is fine here: the next event feeds again.
  if (!outbox_.empty()) Pump();
}

void Watcher::Close(const std::vector<v1::Event>& events, const grpc::Status& status) {
  std::lock_guard lock(mutex_);
  if (std::exchange(closing_, true)) return;
  Append(events, events.size() + outbox_.size());
  end_ = status;
  Pump();
}

bool Watcher::Pump() {
  if (finished_ || writing_) return false;
  if (!outbox_.empty()) {
    writing_ = true;
    StartWrite(&outbox_.front());
    return false;
  }
  if (!closing_) return true;
  finished_ = true;
  Finish(end_);
  return false;
}

void Watcher::OnWriteDone(bool ok) {
  bool hungry = false;
  {
    std::lock_guard lock(mutex_);
    writing_ = false;
    outbox_.pop_front();
    if (!ok) {
      outbox_.clear();
      closing_ = true;
    }
    hungry = Pump();
  }
  if (hungry) hungry_();
}

void Watcher::OnCancel() {
  std::lock_guard lock(mutex_);
  closing_ = true;
  end_ = grpc::Status::CANCELLED;
  if (writing_) {
    outbox_.erase(outbox_.begin() + 1, outbox_.end());
  } else {
    outbox_.clear();
  }
  Pump();
}

void Watcher::OnDone() {
  const std::function<void()> gone = gone_;  // outlives this
  gone();
}

}  // namespace k3saga::control
