#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "k3saga/v1/event.pb.h"
#include "tests/support/child_process.h"

namespace k3saga::testing {

// A lab of real processes (k3saga-lab), and k3saga run against it as a user would. Taken down with everything
// in it when this ends. Not thread-safe.
class LabCluster {
 public:
  struct Shape {
    int servers = 3;
    int workers = 1;
    std::string version = "v1.31.4+k3s1";
    std::vector<std::string> up_arguments = {};  // further arguments of `k3saga-lab up`
  };

  // Up, with every node Ready; aborts the test program's expectations with the lab's own words otherwise.
  static absl::StatusOr<std::unique_ptr<LabCluster>> Up(const Shape& shape);
  ~LabCluster();
  LabCluster(const LabCluster&) = delete;
  LabCluster& operator=(const LabCluster&) = delete;

  // From now on k3saga keeps its journal in this folder of the lab: as on another machine.
  void UseState(const std::string& folder) { state_ = folder; }

  struct Ended {
    int exit_code = -1;
    std::string out;
    std::string err;
  };
  // k3saga -f CLUSTER ARGUMENTS..., to its end. `environment` is added.
  Ended K3saga(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {});
  // The same with --output json; a parse error is null.
  nlohmann::json K3sagaJson(const std::vector<std::string>& arguments);
  // In the background, output to a file of this name in the lab's folder.
  ChildProcess StartK3saga(const std::vector<std::string>& arguments, const std::string& log,
                           const std::vector<std::string>& environment = {});
  std::string Log(const std::string& name) const;

  Ended Lab(const std::vector<std::string>& arguments);
  // What the observer saw: longest write gap, fewest healthy members, ...
  nlohmann::json Report();

  // The last rollout's events, as `history export` writes them.
  std::vector<v1::Event> Events();

  // Node name -> version that its process runs, as the agents say.
  std::map<std::string, std::string> RunningVersions();

  // `dir/...`, e.g. Path("nodes/s1/root/etc/systemd/system/k3s.service").
  std::string Path(const std::string& below) const { return dir_ + "/" + below; }
  const std::string& dir() const { return dir_; }

 private:
  explicit LabCluster(std::string dir) : dir_(std::move(dir)) {}
  std::vector<std::string> K3sagaCommand(const std::vector<std::string>& arguments) const;
  std::vector<std::string> Environment(const std::vector<std::string>& more) const;

  std::string dir_;
  std::string state_ = "state";
};

}  // namespace k3saga::testing
