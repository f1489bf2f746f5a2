#include "common/host/event_loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace k3saga {
namespace {

void DieIfBad(int fd, const char* what) {
  if (fd >= 0) return;
  std::perror(what);
  std::abort();
}

void Drain(int fd) {
  uint64_t count = 0;
  // Both descriptors are non-blocking; nothing to read is as good as read.
  (void)!read(fd, &count, sizeof count);
}

}  // namespace

EventLoop::EventLoop() {
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  DieIfBad(wake_fd_, "eventfd");
  timer_fd_ = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  DieIfBad(timer_fd_, "timerfd_create");
}

EventLoop::~EventLoop() {
  close(wake_fd_);
  close(timer_fd_);
}

void EventLoop::Wake() {
  const uint64_t one = 1;
  (void)!write(wake_fd_, &one, sizeof one);
}

void EventLoop::Stop() {
  stop_.store(true);
  Wake();
}

void EventLoop::Post(Work work) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    if (posted_.size() > 1) return;  // whoever posted first has woken the loop
  }
  Wake();
}

Loop::TimerId EventLoop::After(std::chrono::milliseconds delay, Work work) {
  const TimerId id = next_timer_++;
  const Deadline deadline{clock_.Steady() + std::max(delay, std::chrono::milliseconds(0)), id};
  deadlines_.emplace(id, deadline);
  timers_.emplace(deadline, std::move(work));
  return id;
}

void EventLoop::CancelTimer(TimerId timer) {
  const auto found = deadlines_.find(timer);
  if (found == deadlines_.end()) return;
  timers_.erase(found->second);
  deadlines_.erase(found);
}

void EventLoop::ArmTimer() {
  itimerspec when{};
  if (!timers_.empty()) {
    // An absolute time of zero would disarm the timer.
    const int64_t due = std::max<int64_t>(1, timers_.begin()->first.first.count());
    when.it_value.tv_sec = due / 1000;
    when.it_value.tv_nsec = (due % 1000) * 1'000'000;
  }
  timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void EventLoop::WaitForWork() {
  {
    std::lock_guard lock(mutex_);
    if (!posted_.empty()) return;
  }
  ArmTimer();
  pollfd fds[] = {{wake_fd_, POLLIN, 0}, {timer_fd_, POLLIN, 0}};
  poll(fds, 2, -1);
  Drain(wake_fd_);
  Drain(timer_fd_);
}

void EventLoop::FireDueTimers() {
  // Timers set by the work that runs here wait for the next round, so that a zero delay cannot starve the
  // rest.
  const std::chrono::milliseconds now = clock_.Steady();
  const TimerId newest = next_timer_;
  while (!stop_.load()) {
    const auto due = std::find_if(timers_.begin(), timers_.end(), [&](const auto& timer) {
      return timer.first.first > now || timer.first.second < newest;
    });
    if (due == timers_.end() || due->first.first > now) return;
    Work work = std::move(due->second);
    deadlines_.erase(due->first.second);
    timers_.erase(due);
    work();
  }
}

void EventLoop::RunPosted() {
  std::vector<Work> batch;
  {
    std::lock_guard lock(mutex_);
    batch.swap(posted_);
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    if (stop_.load()) {
      // What was not run stays first in line.
      std::lock_guard lock(mutex_);
      posted_.insert(posted_.begin(), std::make_move_iterator(batch.begin() + static_cast<std::ptrdiff_t>(i)),
                     std::make_move_iterator(batch.end()));
      return;
    }
    batch[i]();
    batch[i] = nullptr;
  }
}

void EventLoop::Run() {
  while (!stop_.load()) {
    WaitForWork();
    RunPosted();
    if (!stop_.load()) FireDueTimers();
  }
  stop_.store(false);
}

}  // namespace k3saga
