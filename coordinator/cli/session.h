#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

#include "common/host/clock.h"
#include "common/host/event_loop.h"
#include "common/tls/identity.h"
#include "coordinator/cli/console.h"
#include "coordinator/cli/options.h"
#include "coordinator/config/cluster_file.h"
#include "coordinator/core/planner.h"
#include "coordinator/fleet/grpc_fleet.h"
#include "coordinator/journal/journal.h"
#include "coordinator/view/reports.h"

namespace k3saga::cli {

// What every command has.
struct Context {
  Console console;
  SystemClock clock;
  std::string cluster_file;
  OutputFormat output = OutputFormat::kText;

  bool json() const { return output == OutputFormat::kJson; }
};

// $K3SAGA_STATE, else $XDG_STATE_HOME/k3saga, else ~/.local/state/k3saga; below it one folder a cluster.
absl::StatusOr<std::string> StateFolder(const std::string& cluster);
std::string JournalPath(const std::string& state_folder);

// A cluster that can be talked to: its file, our identity, and its agents. Everything happens on the loop,
// which runs inside of the calls here and in RunRollout.
class Session {
 public:
  // Input errors only: file, identity, state folder. No agent is asked.
  static absl::StatusOr<std::unique_ptr<Session>> Open(const Context& context);

  const config::ClusterFile& file() const { return file_; }
  const std::string& state_folder() const { return state_folder_; }
  std::string release_cache() const;  // driver::ReleaseCache's folder
  const std::vector<core::KnownTrouble>& known_trouble() const { return known_trouble_; }
  EventLoop& loop() { return loop_; }
  fleet::Fleet& fleet() { return *fleet_; }

  // The facts of these nodes (all of them when empty), in the order of the file. `obstacles`: what drains
  // would meet.
  std::vector<view::NodeAnswer> GatherFacts(bool obstacles, const std::vector<std::string>& only = {});
  // With the rollout that the agents keep for whoever adopts it.
  std::vector<v1::NodeFacts> GatherKept();

  // What the planner is asked for.
  core::PlanRequest MakeRequest(const std::string& version, const UpgradeConsent& consent) const;

 private:
  std::vector<view::NodeAnswer> Gather(v1::GetFactsRequest request, const std::vector<std::string>& only);
  Session(config::ClusterFile file, const tls::Identity& identity, std::string state_folder,
          std::vector<core::KnownTrouble> known_trouble);

  config::ClusterFile file_;
  std::string state_folder_;
  std::vector<core::KnownTrouble> known_trouble_;
  EventLoop loop_;
  std::unique_ptr<fleet::GrpcFleet> fleet_;
};

// As the planner wants them: an agent that did not answer has its name and the problem NODE_UNREACHABLE.
std::vector<v1::NodeFacts> ToFacts(const std::vector<view::NodeAnswer>& answers);

// The rollout that a command without an id means: the one that has not ended, else (when `ended_too`) the
// last. kNotFound when there is none.
absl::StatusOr<std::string> ChooseRollout(const journal::Journal& journal, const std::string& asked,
                                          bool ended_too);

}  // namespace k3saga::cli
