#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/core/planner/known_trouble.h"
#include "k3saga/v1/facts.pb.h"
#include "k3saga/v1/plan.pb.h"

// From what the user asked for and what the agents said to a plan, or to the reasons why there is none. Pure.
namespace k3saga::core {

struct PlanRequest {
  struct Node {
    std::string name;
    v1::Role role = v1::ROLE_UNSPECIFIED;
    std::string address;  // "ipv4:10.0.0.11:7440"
  };
  std::string cluster;
  std::vector<Node> nodes;  // in the order of cluster.yaml
  v1::Policies policies;
  v1::Release release;  // release.version is the target
  std::vector<KnownTrouble> known_trouble;
  std::vector<std::string> target_images;   // the target's list of images; empty: not to be had
  std::vector<v1::Reason> release_missing;  // what the coordinator should fetch and did not find
  bool consent_outage =
      false;  // the user agreed that quorum or API may be lost by design (one or two servers)
  bool consent_data_loss = false;  // and that writes since the backup may be lost
};

struct PlanOutcome {
  enum class Kind : uint8_t {
    kPlan,
    kNothingToDo,  // every node runs the target; `plan` says so node by node
    kRefused,
  };
  Kind kind = Kind::kRefused;
  v1::Plan plan;  // with notices; unless refused
  // Everything that is in the way, not only the first; each says what to do instead.
  std::vector<v1::Reason> refusals;
};

// `facts` in any order, found by their name. A node whose agent did not answer has no entry, or one that
// carries nothing but its name and a problem NODE_UNREACHABLE that tells why.
PlanOutcome MakePlan(const PlanRequest& request, const std::vector<v1::NodeFacts>& facts);

// What `check` asks: the same, but everything is looked at also where there is nothing to do, because the
// next upgrade would meet it.
PlanOutcome Examine(const PlanRequest& request, const std::vector<v1::NodeFacts>& facts);

// What a plan will do, in order; for `plan` and the question before `upgrade`.
struct Wave {
  struct Node {
    std::string name;
    std::vector<std::string> actions;  // "cordon", "drain", "install v1.32.0+k3s1", ...
  };
  std::string title;     // "Upgrade the servers"
  std::string how;       // "one at a time, etcd quorum kept, etcd leader last"
  uint32_t at_once = 1;  // nodes worked on in parallel
  std::vector<Node> nodes;
};
std::vector<Wave> DescribeWaves(const v1::Plan& plan);

// A limit as a number of nodes: percentages are rounded down, but to at least one.
uint32_t Resolve(const v1::Limit& limit, uint32_t of_nodes);

}  // namespace k3saga::core
