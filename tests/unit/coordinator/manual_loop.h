#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "common/host/clock.h"
#include "common/host/loop.h"

namespace k3saga {

// A loop and its clock by hand: work runs when the test says so, and time passes only then.
class ManualLoop final : public Loop, public Clock {
 public:
  void Post(Work work) override {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  TimerId After(std::chrono::milliseconds delay, Work work) override {
    timers_.emplace(std::make_pair(now_ + delay, next_timer_), std::move(work));
    return next_timer_++;
  }
  void CancelTimer(TimerId timer) override {
    for (auto it = timers_.begin(); it != timers_.end(); ++it) {
      if (it->first.second != timer) continue;
      timers_.erase(it);
      return;
    }
  }

  std::chrono::milliseconds Steady() const override { return now_; }
  int64_t WallUnixMillis() const override { return 1'769'869'507'000 + now_.count(); }

  // Runs what is posted, and what that posts, until nothing is left.
  void RunPosted() {
    for (;;) {
      std::vector<Work> batch;
      {
        std::lock_guard lock(mutex_);
        batch.swap(posted_);
      }
      if (batch.empty()) return;
      for (Work& work : batch) work();
    }
  }

  // Lets time pass, timer by timer, running what is due and posted on the way.
  void Pass(std::chrono::milliseconds duration) {
    RunPosted();
    const std::chrono::milliseconds until = now_ + duration;
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
      now_ = timers_.begin()->first.first;
      Work work = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      work();
      RunPosted();
    }
    now_ = until;
  }

  // For work that another thread posts: in real time, at most a minute. Whether it held.
  template <typename Condition>
  bool RunUntil(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      RunPosted();
      std::this_thread::yield();
    }
    return true;
  }

  size_t timers() const { return timers_.size(); }

 private:
  std::mutex mutex_;
  std::vector<Work> posted_;  // guarded by mutex_
  std::map<std::pair<std::chrono::milliseconds, TimerId>, Work> timers_;
  TimerId next_timer_ = 1;
  std::chrono::milliseconds now_{1'000};
};

}  // namespace k3saga
