#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace k3saga::health {

// The identity of k3s's main process: a pid alone is used again by others.
struct MainProcess {
  uint32_t pid = 0;  // 0: not running
  uint64_t start_ticks = 0;
  bool operator==(const MainProcess&) const = default;
};

// What one look at this node's k3s saw.
struct Observation {
  std::chrono::milliseconds at{0};  // Clock::Steady
  bool ready = false;
  MainProcess process;
  std::chrono::milliseconds process_age{0};
  std::string note;  // why it is not ready
};

// Pure: turns looks into "ready for how long, with the same main process". Of the time before the first look
// one thing is known, the process's age: one that is ready counts as ready since `kTimeToStart` after its
// start, so that a cluster at rest need not be watched for a settle time before it may be touched. Of a pause
// between two looks longer than `kLongestGap` nothing is assumed: it starts the count again.
class ReadinessTracker {
 public:
  static constexpr std::chrono::milliseconds kLongestGap{5000};
  static constexpr std::chrono::milliseconds kTimeToStart{20'000};  // real k3s: 9 to 19 s

  // Looks come in the order of their time; one that is older than the last is ignored.
  void See(const Observation& observation);

  const std::optional<Observation>& last() const { return last_; }
  // At the time of the last look; 0 when it was not ready.
  std::chrono::milliseconds ready_for() const;
  // How often the main process was replaced by another while being watched.
  uint32_t restarts() const { return restarts_; }

 private:
  std::optional<Observation> last_;
  std::optional<std::chrono::milliseconds> ready_since_;
  MainProcess last_running_;
  uint32_t restarts_ = 0;
};

}  // namespace k3saga::health
