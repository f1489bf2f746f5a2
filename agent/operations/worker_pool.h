#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace k3saga::operations {

// Threads for work that blocks: made when there is work, gone when there was none for a while, so that an
// idle agent has none. Work beyond `most` threads waits its turn. Thread-safe.
class WorkerPool {
 public:
  explicit WorkerPool(size_t most) : most_(most) {}
  ~WorkerPool();  // runs what was posted, then ends the threads
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void Post(std::function<void()> work);

  // Until nothing runs and nothing waits, or the time is over (false).
  bool WaitUntilIdle(std::chrono::milliseconds patience);

 private:
  void Work(std::list<std::thread>::iterator self);
  void JoinEnded();  // needs mutex_

  const size_t most_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<std::function<void()>> waiting_;  // mutex_
  std::list<std::thread> threads_;             // mutex_
  std::list<std::thread> ended_;               // mutex_; to be joined
  size_t resting_ = 0;                         // mutex_; threads without work
  bool stop_ = false;                          // mutex_
};

}  // namespace k3saga::operations
