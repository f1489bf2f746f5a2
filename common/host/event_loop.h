#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "common/host/clock.h"
#include "common/host/loop.h"

namespace k3saga {

// The loop of a program: Run() makes the calling thread its thread. Waits on a boot-clock timerfd and an
// eventfd, so an idle loop wakes for nothing.
class EventLoop final : public Loop {
 public:
  // Dies with a message when the kernel gives no descriptors: nothing can run without its loop.
  EventLoop();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs work and timers until Stop. May be called again after it returned.
  void Run();
  // Thread-safe and async-signal-safe: Run returns after the work it is at.
  void Stop();

  void Post(Work work) override;
  TimerId After(std::chrono::milliseconds delay, Work work) override;
  void CancelTimer(TimerId timer) override;

 private:
  using Deadline = std::pair<std::chrono::milliseconds, TimerId>;

  void ArmTimer();
  void FireDueTimers();
  void RunPosted();
  void WaitForWork();
  void Wake();

  SystemClock clock_;
  int wake_fd_ = -1;
  int timer_fd_ = -1;
  std::atomic<bool> stop_{false};

  std::mutex mutex_;
  std::vector<Work> posted_;  // guarded by mutex_

  std::map<Deadline, Work> timers_;
  std::map<TimerId, Deadline> deadlines_;
  TimerId next_timer_ = 1;
};

}  // namespace k3saga
