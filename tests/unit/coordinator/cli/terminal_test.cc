// The program as people see it: on a terminal.
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/coordinator/cli/workspace.h"

namespace k3saga::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Ended {
  int exit_code = -1;
  std::string shown;
};

class Terminal : public Workspace {
 protected:
  // Runs k3saga on a terminal of its own; types `answer` once `question` is shown.
  Ended RunThere(const std::vector<std::string>& arguments,
                 const std::vector<std::string>& more_environment = {}, const std::string& question = "",
                 const std::string& answer = "") {
    std::vector<std::string> words = arguments;
    words.insert(words.begin(), K3SAGA_PROGRAM);
    std::vector<std::string> variables = Environment();
    variables.push_back("TERM=xterm");
    variables.insert(variables.end(), more_environment.begin(), more_environment.end());
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

TEST_F(Terminal, ColoursAreForTerminalsThatWantThem) {
  Init();
  EXPECT_THAT(RunThere({"check"}).shown, HasSubstr("\x1b[31m"));
  EXPECT_THAT(RunThere({"check"}, {"NO_COLOR=1"}).shown, Not(HasSubstr("\x1b[")));
  EXPECT_THAT(K3saga({"check"}).out, Not(HasSubstr("\x1b[")));
}

TEST_F(Terminal, AbortAsksAndTakesNoForAnAnswer) {
  Init();
  const Ended ended = RunThere({"abort"}, {}, "[y/N]", "n\n");
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.shown, HasSubstr("Nothing was done."));
}

TEST_F(Terminal, UpgradeOnATerminalNeedsNoYesToGetToPreflight) {
  Init();
  EXPECT_EQ(RunThere({"upgrade", "--to", "v1.32.0+k3s1"}).exit_code, 3);
}

}  // namespace
}  // namespace k3saga::cli
