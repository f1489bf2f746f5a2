#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace k3saga::lab {

struct SpawnRequest {
  std::vector<std::string> arguments;    // [0] is the executable's path
  std::vector<std::string> environment;  // complete: nothing is inherited
  std::filesystem::path log;             // stdout and stderr are appended
};

// A child in a session of its own that dies with this process. The error is execve's.
absl::StatusOr<int> SpawnChild(const SpawnRequest& request);

// What /proc says.
struct Process {
  int pid = 0;
  int parent = 0;
  uint64_t start_ticks = 0;  // with pid: the process's identity
  std::string state;         // "R", "S", "T", "Z", ...
  std::string command;
};
std::vector<Process> AllProcesses();
// Those of `all` below `ancestor`.
std::vector<Process> Descendants(const std::vector<Process>& all, int ancestor);
// Those whose environment carries K3SAGA_LAB_DIR=dir: a lab's processes, whoever their parent is.
std::vector<Process> ProcessesOfLab(const std::filesystem::path& dir);

// SIGKILL, unless the pid belongs to another process by now.
void KillExactly(const Process& process);

// Until `done` says so or the deadline passes; false then.
template <typename Condition>
bool WaitUntil(Condition done, std::chrono::milliseconds deadline,
               std::chrono::milliseconds pause = std::chrono::milliseconds(20));

}  // namespace k3saga::lab

#include <thread>

template <typename Condition>
bool k3saga::lab::WaitUntil(Condition done, std::chrono::milliseconds deadline,
                            std::chrono::milliseconds pause) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}
