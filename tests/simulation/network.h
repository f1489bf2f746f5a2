#pragma once

#include <functional>

namespace k3saga::simulation {

class World;

// Between coordinators and agents: every message may be lost, doubled, delayed past others.
class Network {
 public:
  explicit Network(World& world) : world_(world) {}

  void Send(std::function<void()> deliver);

 private:
  World& world_;
};

}  // namespace k3saga::simulation
