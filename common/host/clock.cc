#include "common/host/clock.h"

#include <ctime>

namespace k3saga {
namespace {

int64_t ReadMillis(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

std::chrono::milliseconds SystemClock::Steady() const {
  return std::chrono::milliseconds(ReadMillis(CLOCK_BOOTTIME));
}

int64_t SystemClock::WallUnixMillis() const { return ReadMillis(CLOCK_REALTIME); }

}  // namespace k3saga
