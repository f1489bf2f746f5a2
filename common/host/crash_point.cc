#include "common/host/crash_point.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>

namespace k3saga {
namespace {

constexpr int kExitCode = 86;

std::vector<std::string>& Registry() {
  static auto* names = new std::vector<std::string>;
  return *names;
}

// At which time of those that `armed` names this one is reached it kills; 0: never.
int CountdownOf(std::string_view name, std::string_view armed) {
  while (!armed.empty()) {
    const size_t comma = armed.find(',');
    const std::string_view one = armed.substr(0, comma);
    armed.remove_prefix(comma == std::string_view::npos ? armed.size() : comma + 1);
    const size_t colon = one.rfind(':');
    if (one.substr(0, colon) != name) continue;
    if (colon == std::string_view::npos) return 1;
    return std::max(1, std::atoi(std::string(one.substr(colon + 1)).c_str()));
  }
  return 0;
}

// False: it died here before, and is spared now.
bool LeaveMark(std::string_view name) {
  const char* folder = std::getenv("K3SAGA_CRASH_MARKS");
  if (folder == nullptr) return true;
  const std::string path = std::string(folder) + "/" + std::string(name);
  return open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644) >= 0 || errno != EEXIST;
}

}  // namespace

CrashPoint::CrashPoint(std::string_view name) : name_(name), countdown_(0) {
  Registry().emplace_back(name);
  const char* armed = std::getenv("K3SAGA_CRASH_AT");
  if (armed != nullptr) countdown_ = CountdownOf(name, armed);
}

void CrashPoint::MaybeDie() {
  // A race between threads may skip one count; a test arms points that it reaches from one thread.
  if (countdown_ > 0 && --countdown_ == 0 && LeaveMark(name_)) _exit(kExitCode);
}

std::vector<std::string> CrashPoint::All() {
  std::vector<std::string> names = Registry();
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace k3saga
