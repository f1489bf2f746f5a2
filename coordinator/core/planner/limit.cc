#include <algorithm>

#include "coordinator/core/planner.h"

namespace k3saga::core {

uint32_t Resolve(const v1::Limit& limit, uint32_t of_nodes) {
  if (!limit.percent()) return limit.value();
  const uint64_t share = uint64_t{of_nodes} * limit.value() / 100;
  return static_cast<uint32_t>(std::max<uint64_t>(share, limit.value() == 0 ? 0 : 1));
}

}  // namespace k3saga::core
