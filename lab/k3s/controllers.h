#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <string>

#include "lab/base/layout.h"
#include "lab/k3s/object_store.h"

namespace k3saga::lab {

// Kubernetes's controllers, scheduler and (for nodes that are alive) the kubelets' work on pods, as one pass
// over the cluster: node lifecycle, deployments, daemon sets, binding, pods getting ready and going away,
// budgets. Every pass is idempotent; one pass a moment by whoever leads.
absl::Status RunControllers(ObjectStore& objects, const Timings& timings, int64_t now_millis);

// The namespaces and the workload that a new lab gets: a web deployment with a budget over the workers, DNS,
// and a daemon set, so that draining has something to do. Idempotent.
absl::Status SeedWorkload(ObjectStore& objects, int workers);

// A deployment with one replica set owned by it, ready to be created.
absl::Status CreateDeployment(ObjectStore& objects, const std::string& name_space, const std::string& name,
                              int replicas, const json& node_selector);

// One of several servers leads, by a lock object that is renewed by compare-and-swap, as Kubernetes's
// components elect theirs. Not thread-safe.
class Leadership {
 public:
  Leadership(ObjectStore& objects, std::string self) : objects_(objects), self_(std::move(self)) {}
  // True when this server leads now. The holder counts as gone when its renewal has not been seen for
  // `patience_millis`.
  bool Acquire(int64_t now_millis, int64_t patience_millis);

 private:
  ObjectStore& objects_;
  std::string self_;
  std::string seen_;
  int64_t seen_at_ = 0;
};

}  // namespace k3saga::lab
