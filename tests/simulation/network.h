#pragma once

#include <cstdint>
#include <functional>
#include <map>

namespace k3saga::simulation {

class World;

// Between coordinators and agents: every message may be lost, doubled, delayed past others, and a node may be
// cut off.
class Network {
 public:
  explicit Network(World& world) : world_(world) {}

  // Between the current coordinator and this node's agent, in either direction.
  void Send(int node, std::function<void()> deliver);
  // Nothing reaches this node, nothing comes from it.
  void CutOff(int node, int64_t until);

 private:
  World& world_;
  std::map<int, int64_t> cut_off_;  // node: until when
};

}  // namespace k3saga::simulation
