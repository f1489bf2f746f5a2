#include "tests/simulation/network.h"

#include "tests/simulation/world.h"

namespace k3saga::simulation {

void Network::CutOff(int node, int64_t until) { cut_off_[node] = until; }

void Network::Send(int node, std::function<void()> deliver) {
  if (!cut_off_.empty()) {
    const auto cut = cut_off_.find(node);
    if (cut != cut_off_.end() && world_.schedule.now() < cut->second) return;
  }
  if (world_.Draw(Fault::kMessageLost)) return;
  int64_t delay = world_.random.Between(1, 5);
  if (world_.Draw(Fault::kMessageDoubled)) world_.schedule.After(world_.random.Between(1, 20'000), deliver);
  if (world_.Draw(Fault::kMessageDelayed)) delay = world_.random.Between(100, 40'000);
  world_.schedule.After(delay, std::move(deliver));
}

}  // namespace k3saga::simulation
