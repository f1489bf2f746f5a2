#include "common/host/crash_point.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace k3saga {
namespace {

constexpr int kExitCode = 86;

std::vector<std::string>& Registry() {
  static auto* names = new std::vector<std::string>;
  return *names;
}

}  // namespace

CrashPoint::CrashPoint(std::string_view name) : name_(name), countdown_(0) {
  Registry().emplace_back(name);
  const char* armed = std::getenv("K3SAGA_CRASH_AT");
  if (armed == nullptr) return;
  std::string_view at = armed;
  const size_t colon = at.rfind(':');
  if (at.substr(0, colon) != name) return;
  countdown_ = colon == std::string_view::npos ? 1 : std::max(1, std::atoi(armed + colon + 1));
}

void CrashPoint::MaybeDie() {
  // A race between threads may skip one count; a test arms points that it reaches from one thread.
  if (countdown_ > 0 && --countdown_ == 0) _exit(kExitCode);
}

std::vector<std::string> CrashPoint::All() {
  std::vector<std::string> names = Registry();
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace k3saga
