#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace k3saga::simulation {

// Virtual time: what happens when. What is due at the same moment happens in the order in which it was put
// here.
class Schedule {
 public:
  using Action = std::function<void()>;

  int64_t now() const { return now_; }
  bool empty() const { return heap_.empty(); }

  void At(int64_t when, Action action) {
    heap_.push_back({std::max(when, now_), order_++, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end());
  }
  void After(int64_t milliseconds, Action action) { At(now_ + milliseconds, std::move(action)); }

  // Time passes to the next action, which happens.
  void Step() {
    std::pop_heap(heap_.begin(), heap_.end());
    Entry next = std::move(heap_.back());
    heap_.pop_back();
    now_ = next.when;
    next.action();
  }

 private:
  struct Entry {
    int64_t when;
    uint64_t order;
    Action action;
    // A heap's top is its largest: the earliest.
    bool operator<(const Entry& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };
  int64_t now_ = 0;
  uint64_t order_ = 0;
  std::vector<Entry> heap_;
};

}  // namespace k3saga::simulation
