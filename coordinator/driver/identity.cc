#include "coordinator/driver/identity.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace k3saga::driver {

std::string MakeRolloutId(int64_t unix_ms, uint64_t random) {
  const time_t seconds = unix_ms / 1000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const size_t length = strftime(text, sizeof text, "%Y%m%d-%H%M%S", &parts);
  std::snprintf(text + length, sizeof text - length, "-%04x", static_cast<unsigned>(random & 0xffff));
  return text;
}

uint64_t NextEpoch(const std::vector<v1::NodeFacts>& facts,
                   const std::vector<journal::RolloutSummary>& rollouts) {
  uint64_t highest = 0;
  for (const v1::NodeFacts& node : facts) highest = std::max<uint64_t>(highest, node.claim().epoch());
  for (const journal::RolloutSummary& rollout : rollouts) highest = std::max(highest, rollout.epoch);
  return highest + 1;
}

}  // namespace k3saga::driver
