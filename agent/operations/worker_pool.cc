#include "agent/operations/worker_pool.h"

#include <chrono>
#include <utility>

namespace k3saga::operations {
namespace {

constexpr std::chrono::seconds kRest{5};

}  // namespace

WorkerPool::~WorkerPool() {
  std::unique_lock lock(mutex_);
  stop_ = true;
  wake_.notify_all();
  idle_.wait(lock, [&] { return threads_.empty(); });
  JoinEnded();
}

void WorkerPool::Post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  JoinEnded();
  waiting_.push_back(std::move(work));
  if (resting_ >= waiting_.size() || threads_.size() >= most_) {
    wake_.notify_one();
    return;
  }
  const auto self = threads_.emplace(threads_.end());
  *self = std::thread([this, self] { Work(self); });
}

void WorkerPool::Work(std::list<std::thread>::iterator self) {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++resting_;
    if (resting_ == threads_.size() && waiting_.empty()) idle_.notify_all();
    wake_.wait_for(lock, kRest, [&] { return stop_ || !waiting_.empty(); });
    --resting_;
    if (waiting_.empty()) break;  // rested long enough, or told to stop
    std::function<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    work = nullptr;  // what it holds goes without the lock
    lock.lock();
  }
  ended_.splice(ended_.end(), threads_, self);
  idle_.notify_all();
}

void WorkerPool::JoinEnded() {
  for (std::thread& thread : ended_) thread.join();
  ended_.clear();
}

bool WorkerPool::WaitUntilIdle(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, patience, [&] { return waiting_.empty() && resting_ == threads_.size(); });
}

}  // namespace k3saga::operations
