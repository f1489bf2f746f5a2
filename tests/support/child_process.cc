#include "tests/support/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "tests/support/eventually.h"

namespace k3saga::testing {

ChildProcess::ChildProcess(const std::vector<std::string>& argv, const std::string& log_file,
                           const std::vector<std::string>& environment) {
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (const std::string& argument : argv) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  const int log = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t child = fork();
  if (child == 0) {
    // A test that crashes takes its processes along.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(log, 1);
    dup2(log, 2);
    for (const std::string& variable : environment) {
      putenv(const_cast<char*>(variable.c_str()));
    }
    execv(pointers[0], pointers.data());
    _exit(127);
  }
  close(log);
  pid_ = child > 0 ? child : 0;
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = std::exchange(other.pid_, 0);
  }
  return *this;
}

void ChildProcess::Kill() {
  if (pid_ == 0) {
    return;
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void ChildProcess::Signal(int signal) const {
  if (pid_ != 0) {
    kill(pid_, signal);
  }
}

int ChildProcess::Wait(std::chrono::seconds limit) {
  int status = 0;
  const pid_t child = pid_;
  if (child == 0 || !Eventually([&] { return waitpid(child, &status, WNOHANG) == child; }, limit)) {
    return -1;
  }
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void ChildProcess::Freeze() const {
  kill(pid_, SIGSTOP);
  waitpid(pid_, nullptr, WUNTRACED);  // returns once every thread of it stands still
}
void ChildProcess::Thaw() const { kill(pid_, SIGCONT); }

}  // namespace k3saga::testing
