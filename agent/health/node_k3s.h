#pragma once

#include <chrono>
#include <memory>
#include <mutex>

#include "agent/health/local.h"
#include "agent/node/distribution.h"
#include "agent/node/installation.h"
#include "common/host/clock.h"

namespace k3saga::health {

// LocalK3s over agent/node. systemd is asked only when the main process that it named is gone, and the
// installation is read again only after that or when it is old. Thread-safe.
class NodeK3s final : public LocalK3s {
 public:
  // The references must outlive it.
  NodeK3s(const node::Distribution& distribution, node::HostPaths paths, node::Systemd& systemd,
          node::ProcessInspector& processes, const Clock& clock)
      : distribution_(distribution),
        paths_(std::move(paths)),
        systemd_(systemd),
        processes_(processes),
        clock_(clock) {}

  LocalRole Role() override;
  absl::StatusOr<MainProcess> Main() override;
  absl::Status UnitActive() override;
  std::string RunningVersion() override;
  std::string LastWords() override;

  // This node's k3s, at most a minute old and never older than its main process; for kubeconfig and data
  // folder.
  std::shared_ptr<const node::Installation> Installation();
  // The next Installation() reads anew.
  void Forget();

 private:
  const node::Distribution& distribution_;
  const node::HostPaths paths_;
  node::Systemd& systemd_;
  node::ProcessInspector& processes_;
  const Clock& clock_;
  std::mutex mutex_;
  std::shared_ptr<const node::Installation> installation_;  // mutex_
  std::chrono::milliseconds read_at_{0};                    // mutex_
  MainProcess main_;                                        // mutex_; the last one seen
};

}  // namespace k3saga::health
