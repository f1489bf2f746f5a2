#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace k3saga::hosts {

// A process that a test started and goes on beside it; killed, with what it started, at the latest when this
// ends.
class Background {
 public:
  // stdout and stderr go to `log_file`.
  Background(const std::vector<std::string>& argv, const std::string& log_file);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  struct Ended {
    int exit_code = -1;      // -1: a signal
    double cpu_seconds = 0;  // of it and everything it waited for
    double seconds = 0;
  };
  // kDeadlineExceeded when it still runs after `limit`.
  absl::StatusOr<Ended> Wait(std::chrono::milliseconds limit);
  bool Running();
  // To its whole process group: the program and the wrappers it was started through.
  void Signal(int signal) const;
  std::string Log() const;

 private:
  bool Collect(int options);

  pid_t pid_ = 0;
  std::string log_file_;
  std::chrono::steady_clock::time_point started_;
  std::optional<Ended> ended_;
};

}  // namespace k3saga::hosts
