#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/operations/fencing.h"
#include "agent/operations/machine.h"
#include "coordinator/core/adopt.h"
#include "k3saga/v1/facts.pb.h"

namespace k3saga::simulation {

class World;

struct RunMessage {
  v1::Authority authority;
  v1::OperationId id;
  std::shared_ptr<const v1::OperationSpec> spec;
  std::string journal;  // the agent's, as far as the coordinator knows; "": any
};

// One node's agent: the real operation machine and the real fencing rules over a virtual node. What is in its
// journal survives it; everything else does not. Installs and put-backs run outside of it.
class Agent {
 public:
  using Reply = std::function<void(const v1::Outcome&)>;

  Agent(World& world, int node);

  // Messages. Nothing happens while the agent is down.
  void Run(const RunMessage& message, Reply reply);
  v1::ServerProof Probe(bool with_nodes) const;
  core::AgentReport Report() const;  // what it tells whoever adopts the rollout

  bool up() const { return up_; }
  int node() const { return node_; }
  const operations::Fence& fence() const { return fence_; }
  const std::string& journal_id() const { return journal_id_; }

  void Kill(int64_t down_ms);
  void KillOperations();  // those that run outside; taken up again like the supervisor does
  void LoseJournal();
  void Prune();  // what was settled, unless the rollout holds the node

 private:
  struct Entry {
    operations::Record record;
    int64_t deadline = 0;
    uint32_t process = 0;  // of the run; an action of an older one is void
    bool alive = false;
    std::vector<Reply> watchers;
  };
  using Key = uint64_t;

  void StartProcess(Key key, Entry& entry);
  void NextPhase(Key key, Entry& entry);
  void OnEffect(Key key, uint32_t process);
  void Finish(Entry& entry);
  void Restart();
  void KillEntry(Entry& entry);

  World& world_;
  const int node_;
  bool up_ = true;
  uint32_t processes_ = 0;

  void ShowNodes(google::protobuf::RepeatedPtrField<v1::KubeNode>& nodes) const;

  // Durable.
  std::string journal_id_ = "1";
  uint64_t floor_ = 0;
  operations::Fence fence_;
  std::map<Key, Entry> journal_;
};

}  // namespace k3saga::simulation
