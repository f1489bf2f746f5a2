#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace k3saga {

// A program to run, by argument vector: nothing here ever passes through a shell.
struct Command {
  std::vector<std::string> argv = {};  // argv[0] is a path, or a name looked up in the PATH of this process

  // The whole environment of the child, "KEY=value"; nothing is inherited.
  std::vector<std::string> environment = {};

  std::string stdin_data = {};         // what the child reads; empty: /dev/null
  std::string working_directory = {};  // empty: "/"
  std::chrono::milliseconds deadline{30'000};

  // Each of stdout and stderr keeps at most this many bytes, the *last* ones: failures speak at the end.
  size_t output_cap = 256 * 1024;
};

struct ProcessResult {
  int exit_code = 0;  // -1 when a signal ended it
  int signal = 0;     // 0 when it exited by itself
  std::string out;
  std::string err;
  bool truncated = false;

  bool ok() const { return exit_code == 0 && signal == 0; }
  // "exit status 3: last line of stderr" or "killed by signal 9: ..."; one line, capped, for errors.
  std::string Describe() const;
};

// Runs to the end and returns how it ended; a non-zero exit is a result, not an error. Errors: kNotFound (no
// such program), kDeadlineExceeded (the whole process group was killed), kInternal (system calls).
//
// The child gets its own process group, default signals, an empty mask and no descriptors beyond 0-2. Uses
// posix_spawn and a pidfd: safe beside other threads, no SIGCHLD handler, and a pid that was recycled is
// never signalled. What the child left running in the background (holding stdout or not) is not waited for.
absl::StatusOr<ProcessResult> Run(const Command& command);

// Run, and a non-zero exit is an error too (kFailedPrecondition); returns stdout.
absl::StatusOr<std::string> RunForOutput(const Command& command);

// PATH of a Debian root shell and LC_ALL=C: enough for system tools, and output that can be parsed.
std::vector<std::string> PlainEnvironment();

}  // namespace k3saga
