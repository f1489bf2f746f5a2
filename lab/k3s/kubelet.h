#pragma once

#include <absl/status/status.h>

#include <functional>
#include <memory>

#include "lab/k3s/api.h"
#include "lab/k3s/http.h"
#include "lab/k3s/instance.h"

namespace k3saga::lab {

// How a kubelet reaches the API: a server's own directly, a worker's over HTTPS through any living server.
using ApiCaller = std::function<ApiResponse(const ApiRequest&)>;

// The part of a kubelet that others see: the node's object, its heartbeat lease, and /healthz. Not
// thread-safe.
class Kubelet {
 public:
  Kubelet(const Instance& instance, ApiCaller api) : instance_(instance), api_(std::move(api)) {}

  // Registers the node (labels and taints of somebody else stay as they are) and says that it is ready.
  absl::Status Register();
  // Serves /healthz for its own machine, port 10248.
  absl::Status ServeHealth();
  // How long to wait before the next heartbeat: short at first (a kubelet posts its status often while it
  // starts).
  std::chrono::milliseconds Pause() const;
  // Renews the lease; the whole status now and then, and when a heartbeat had failed before.
  absl::Status Heartbeat();

 private:
  json NodeObject() const;
  json Status() const;
  absl::Status Renew();
  absl::Status PostStatus();

  const Instance& instance_;
  ApiCaller api_;
  std::unique_ptr<HttpServer> health_;
  int beats_ = 0;
  bool status_due_ = true;
};

}  // namespace k3saga::lab
