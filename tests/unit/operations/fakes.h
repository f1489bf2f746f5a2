#pragma once

#include <absl/strings/str_join.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "agent/operations/effects.h"
#include "agent/operations/supervisor.h"
#include "common/host/pause.h"
#include "tests/unit/operations/testing.h"

namespace k3saga::operations {

// Waiting makes the clock go on, and takes no time.
class FakePauser final : public Pauser {
 public:
  explicit FakePauser(FakeClock* clock) : clock_(clock) {}
  bool Pause(std::chrono::milliseconds duration, const std::stop_token& stop) override {
    if (stop.stop_requested()) return false;
    clock_->Pass(duration);
    return !stop.stop_requested();
  }

 private:
  FakeClock* const clock_;
};

// Every phase is done at once unless the test said otherwise. Remembers what it was asked to do. Thread-safe.
class FakeEffects final : public Effects {
 public:
  using Act = std::function<EffectResult(const Record&, EffectContext&)>;

  void On(Phase phase, Act act) {
    const std::lock_guard lock(mutex_);
    acts_[phase] = std::move(act);
  }

  EffectResult Perform(Phase phase, const Record& record, EffectContext& context) override {
    Act act;
    {
      const std::lock_guard lock(mutex_);
      performed_.emplace_back(PhaseName(phase));
      changed_.notify_all();
      const auto found = acts_.find(phase);
      if (found != acts_.end()) act = found->second;
    }
    return act ? act(record, context) : EffectResult::Done();
  }

  std::string performed() {
    const std::lock_guard lock(mutex_);
    return absl::StrJoin(performed_, " ");
  }
  size_t Count(std::string_view phase) {
    const std::lock_guard lock(mutex_);
    return static_cast<size_t>(std::count(performed_.begin(), performed_.end(), phase));
  }
  // Until the phase's effect was begun `times` times.
  bool WaitFor(std::string_view phase, size_t times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] {
      return static_cast<size_t>(std::count(performed_.begin(), performed_.end(), phase)) >= times;
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Phase, Act> acts_;
  std::vector<std::string> performed_;
};

// An effect that goes on until it is let go, or stopped.
class Gate {
 public:
  FakeEffects::Act Act() {
    return [this](const Record&, EffectContext& context) {
      std::unique_lock lock(mutex_);
      const bool open = opened_.wait(lock, context.StopToken(), [&] { return open_; });
      return open ? EffectResult::Done() : EffectResult::Interrupted();
    };
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any opened_;
  bool open_ = false;
};

class FakeWatcher final : public Watcher {
 public:
  void OnProgress(const v1::Progress& progress) override {
    const std::lock_guard lock(mutex_);
    said_.push_back(progress.detail().empty() ? progress.phase()
                                              : progress.phase() + ":" + progress.detail());
    changed_.notify_all();
  }
  void OnOutcome(const v1::Outcome& outcome) override {
    const std::lock_guard lock(mutex_);
    outcome_ = outcome;
    changed_.notify_all();
  }
  void OnLost(const absl::Status&) override {
    const std::lock_guard lock(mutex_);
    lost_ = true;
    changed_.notify_all();
  }

  bool WaitForOutcome() {
    return Wait([&] { return outcome_.code() != v1::Outcome::CODE_UNSPECIFIED; });
  }
  bool WaitForLoss() {
    return Wait([&] { return lost_; });
  }
  bool WaitForProgress(const std::string& what) {
    return Wait([&] { return std::find(said_.begin(), said_.end(), what) != said_.end(); });
  }
  v1::Outcome outcome() {
    const std::lock_guard lock(mutex_);
    return outcome_;
  }

 private:
  bool Wait(const std::function<bool()>& done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), done);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> said_;
  v1::Outcome outcome_;
  bool lost_ = false;
};

}  // namespace k3saga::operations
