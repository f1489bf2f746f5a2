#pragma once

#include <string>

namespace k3saga::cli {

// What a program that calls k3saga can rely on. docs/exit-codes.md says the same, in more words.
enum class ExitCode : int {
  kDone = 0,
  kFailed = 1,   // failed and compensated, or stopped
  kUsage = 2,    // bad usage or input: nothing was asked of any node
  kRefused = 3,  // refused by preflight: nothing was touched
  kPaused = 4,   // paused or detached: `k3saga resume` goes on
};

// The text of `k3saga help exit-codes`.
std::string ExitCodesHelp();

}  // namespace k3saga::cli
