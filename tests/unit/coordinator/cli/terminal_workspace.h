#pragma once

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/unit/coordinator/cli/workspace.h"

namespace k3saga::cli {

struct Ended {
  int exit_code = -1;
  std::string shown;
};

// A workspace with a terminal to run k3saga on.
class TerminalWorkspace : public Workspace {
 protected:
  // Runs k3saga on a terminal of its own; types `answer` once `question` is shown.
  Ended RunThere(const std::vector<std::string>& arguments,
                 const std::vector<std::string>& more_environment = {}, const std::string& question = "",
                 const std::string& answer = "") {
    std::vector<std::string> words = arguments;
    words.insert(words.begin(), K3SAGA_PROGRAM);
    // The first of two values of a variable counts.
    std::vector<std::string> variables = more_environment;
    variables.push_back("TERM=xterm");
    for (const std::string& variable : Environment()) variables.push_back(variable);
    std::vector<char*> argv = Pointers(words);
    std::vector<char*> environment = Pointers(variables);

    int controller = -1;
    winsize size{.ws_row = 24, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
    const pid_t child = forkpty(&controller, nullptr, nullptr, &size);
    if (child == 0) {
      if (chdir(dir_.c_str()) != 0) _exit(126);
      execve(argv[0], argv.data(), environment.data());
      _exit(127);
    }
    Ended ended;
    bool answered = false;
    pollfd readable{.fd = controller, .events = POLLIN, .revents = 0};
    while (poll(&readable, 1, 30'000) == 1) {
      char buffer[4096];
      const ssize_t got = read(controller, buffer, sizeof buffer);
      if (got <= 0) break;  // EIO: the other side is closed
      ended.shown.append(buffer, static_cast<size_t>(got));
      if (!answered && !question.empty() && ended.shown.find(question) != std::string::npos) {
        answered = true;
        EXPECT_EQ(write(controller, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
      }
    }
    close(controller);  // hangs up, should it still run
    int status = 0;
    waitpid(child, &status, 0);
    ended.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ended;
  }

 private:
  static std::vector<char*> Pointers(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  }
};

}  // namespace k3saga::cli
