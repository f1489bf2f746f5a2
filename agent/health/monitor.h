#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "agent/etcd/etcd.h"
#include "agent/health/checks.h"
#include "agent/health/local.h"
#include "agent/health/tracker.h"
#include "agent/kube/kube.h"
#include "common/host/clock.h"
#include "k3saga/v1/facts.pb.h"

namespace k3saga::health {

// Watches this node's readiness about once a second, four times as often while it is not ready, while
// somebody cares: a rollout holds a claim here, or a probe came within the last minute. Otherwise its
// thread sleeps without waking. Thread-safe; ends its thread when destroyed.
class ReadinessMonitor {
 public:
  struct Parts {
    LocalK3s* local = nullptr;
    HealthChecks* checks = nullptr;
    etcd::Etcd* etcd = nullptr;
    kube::Kube* kube = nullptr;
    const Clock* clock = nullptr;
    std::string node;  // the agent's node name
    std::chrono::milliseconds interval{1000};
  };
  explicit ReadinessMonitor(Parts parts);
  ~ReadinessMonitor();
  ReadinessMonitor(const ReadinessMonitor&) = delete;
  ReadinessMonitor& operator=(const ReadinessMonitor&) = delete;

  // A claim was taken or ended; called at start too, for a claim found in the journal.
  void ClaimHeld(bool held);

  // Looks now and says everything a gate wants to know of this server. Answers within about `timeout`,
  // whatever state the node is in.
  v1::ServerProof Prove(bool with_nodes, std::chrono::milliseconds timeout);

  // How often k3s's main process was replaced while being watched.
  uint32_t restarts() const;

 private:
  void Run(const std::stop_token& stop);
  // One look, remembered. Takes look_mutex_.
  void Look(std::chrono::milliseconds timeout);
  // The process of the look before is gone or was replaced.
  bool LostItsProcess(const Observation& observation) const;
  bool Wanted() const;  // needs mutex_

  const Parts parts_;
  std::mutex look_mutex_;  // one look at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  bool claim_held_ = false;                              // mutex_
  std::optional<std::chrono::milliseconds> last_probe_;  // mutex_
  ReadinessTracker tracker_;                             // mutex_
  std::string last_words_;                               // mutex_; of the process before this one
  std::jthread thread_;                                  // last: it uses everything above
};

}  // namespace k3saga::health
