#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/host/clock.h"
#include "common/host/loop.h"
#include "coordinator/agents/package.h"
#include "coordinator/fleet/fleet.h"

namespace k3saga::agents {

struct Member {
  std::string node;
  const Package* package = nullptr;
};

// How one node ended.
struct NodeResult {
  std::string node;
  v1::ReplaceAgentReply reply;  // state STATE_UNSPECIFIED: it was not begun, because another one failed

  bool good() const {
    return reply.state() == v1::ReplaceAgentReply::REPLACED ||
           reply.state() == v1::ReplaceAgentReply::UNCHANGED;
  }
};

// Replaces agents: one by one until the first has been replaced and serves, the others a few at a time then.
// The first that does not work out ends it: what has begun is followed to its end, nothing more is begun.
//
// Loop's thread. Destroying it stops following; agents go on by themselves.
class FleetUpgrade {
 public:
  static constexpr size_t kAtOnce = 8;

  struct Edge {
    Loop& loop;
    const Clock& clock;
    fleet::Fleet& fleet;
  };
  struct Request {
    std::vector<Member> members;  // in the order they go
    std::string attempt;          // names it, for the agents
    bool allow_downgrade = false;
    std::chrono::milliseconds node_deadline{
        600'000};  // each node's: sending, operations that have to settle, replacing
  };
  struct Hear {
    std::function<void(const std::string& node)> began;
    std::function<void(const NodeResult&)> ended;       // of each that began
    std::function<void(std::vector<NodeResult>)> done;  // once; in the order of the members
  };

  FleetUpgrade(Edge edge, Request request, Hear hear);
  ~FleetUpgrade();
  FleetUpgrade(const FleetUpgrade&) = delete;
  FleetUpgrade& operator=(const FleetUpgrade&) = delete;

 private:
  class Node;

  void BeginSome();
  void Ended(size_t member, v1::ReplaceAgentReply reply);

  const Edge edge_;
  const Request request_;
  const Hear hear_;
  std::vector<NodeResult> results_;
  std::map<size_t, std::unique_ptr<Node>> active_;
  std::vector<std::unique_ptr<Node>> gone_;  // ended; not destroyed from inside of their own callbacks
  size_t next_ = 0;
  bool proven_ = false;  // one was replaced
  bool failed_ = false;
  Loop::TimerId begin_timer_ = 0;
};

}  // namespace k3saga::agents
