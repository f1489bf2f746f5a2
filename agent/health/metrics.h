#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/health/checks.h"

namespace k3saga::health {

// What a scrape asks the node for; nothing is computed between scrapes.
struct NodeSample {
  std::string k3s_version;  // running; "" when not
  std::string role;         // "server", "worker", ""
  std::vector<CheckResult> checks;
  std::map<std::string, int64_t> certificate_expiry;  // certificate's name -> seconds since the epoch
};

// Prometheus metrics of the agent and its node, served over HTTP. Thread-safe.
class Metrics {
 public:
  // `sample` is called on each scrape, from the server's thread; it must end within a few seconds.
  explicit Metrics(std::function<NodeSample()> sample);
  ~Metrics();

  // Serves /metrics at "0.0.0.0:9440"; port 0 takes a free one. Returns the port.
  absl::StatusOr<int> Serve(std::string_view address);

  // An operation was settled: kind "install", outcome "succeeded", "failed", "refused", "unknown".
  void OperationSettled(std::string_view kind, std::string_view outcome, std::chrono::milliseconds took);
  // How long k3s was down in the last install.
  void UpgradeDown(std::chrono::milliseconds down);

  // The text format, as a scrape would get it.
  std::string Expose();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace k3saga::health
