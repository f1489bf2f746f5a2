#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace k3saga::testing {

// A process that a test started: its output goes to a file, and it is killed by its pid at the latest when
// this ends.
class ChildProcess {
 public:
  ChildProcess() = default;
  // `environment` ("KEY=value") is added to the test's own.
  ChildProcess(const std::vector<std::string>& argv, const std::string& log_file,
               const std::vector<std::string>& environment = {});
  ~ChildProcess() { Kill(); }
  ChildProcess(ChildProcess&& other) noexcept : pid_(other.pid_) { other.pid_ = 0; }
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  bool started() const { return pid_ != 0; }
  pid_t pid() const { return pid_; }
  // SIGKILL, and waits for its end.
  void Kill();
  void Signal(int signal) const;
  // Its exit code, or 128 + the signal that ended it; -1 when it still runs after `limit`.
  int Wait(std::chrono::seconds limit);
  // SIGSTOP and SIGCONT: a process that hangs.
  void Freeze() const;
  void Thaw() const;

 private:
  pid_t pid_ = 0;
};

}  // namespace k3saga::testing
