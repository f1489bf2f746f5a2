#pragma once

#include <absl/status/status.h>

#include <filesystem>
#include <string>
#include <vector>

#include "lab/base/layout.h"

namespace k3saga::lab {

struct UpOptions {
  std::filesystem::path dir;
  int servers = 3;
  int workers = 3;
  std::string version = "v1.31.4+k3s1";
  std::vector<std::string> releases;  // further versions to have in DIR/releases
  bool agents = true;
  bool observer = true;
  bool release_server = false;  // cluster.yaml takes releases over HTTP
  bool sqlite = false;          // a single server without etcd
  std::string settle_time = "3s";
  std::string health_timeout = "60s";
  std::string max_unavailable;  // of workers; empty: a third, at least two
  int canary = 1;
  Timings timings;
  int wait_seconds = 120;
};

// Starts a lab and waits until every node is Ready. What it started is ended again when it fails. A lab in
// `dir` that is down is replaced; one that is up is refused.
absl::Status Up(const UpOptions& options);

// Ends every process of the lab in `dir`; fine when there is none. `remove`: the lab's files as well.
absl::Status Down(const std::filesystem::path& dir, bool remove);

// Asks the daemon. For systemctl on a node: program "systemctl".
absl::StatusOr<nlohmann::json> AskDaemon(const Lab& lab, const nlohmann::json& request);
bool IsUp(const std::filesystem::path& dir);

}  // namespace k3saga::lab
