#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace k3saga::testing {

// A process that a test started: its output goes to a file, and it is killed by its pid at the latest when
// this ends.
class ChildProcess {
 public:
  ChildProcess() = default;
  ChildProcess(const std::vector<std::string>& argv, const std::string& log_file);
  ~ChildProcess() { Kill(); }
  ChildProcess(ChildProcess&& other) noexcept : pid_(other.pid_) { other.pid_ = 0; }
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  bool started() const { return pid_ != 0; }
  // SIGKILL, and waits for its end.
  void Kill();
  // SIGSTOP and SIGCONT: a process that hangs.
  void Freeze() const;
  void Thaw() const;

 private:
  pid_t pid_ = 0;
};

}  // namespace k3saga::testing
