#include "tests/systemd/background.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "common/host/files.h"

namespace k3saga::hosts {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

Background::Background(const std::vector<std::string>& argv, const std::string& log_file)
    : log_file_(log_file), started_(std::chrono::steady_clock::now()) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::vector<char*> arguments;
  for (const std::string& argument : argv) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  if (posix_spawnp(&pid_, arguments[0], &files, &attributes, arguments.data(), environ) != 0) {
    pid_ = 0;
    ended_ = Ended{.exit_code = 127};
  }
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
}

Background::~Background() {
  if (Running()) {
    Signal(SIGKILL);
    Collect(0);
  }
}

bool Background::Collect(int options) {
  if (ended_.has_value()) {
    return true;
  }
  int status = 0;
  rusage usage{};
  pid_t result;
  do {
    result = wait4(pid_, &status, options, &usage);
  } while (result < 0 && errno == EINTR);
  if (result != pid_) {
    return false;
  }
  ended_ = Ended{
      .exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
      .cpu_seconds = Seconds(usage.ru_utime) + Seconds(usage.ru_stime),
      .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count(),
  };
  return true;
}

bool Background::Running() { return !Collect(WNOHANG); }

absl::StatusOr<Background::Ended> Background::Wait(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!Collect(WNOHANG)) {
    if (std::chrono::steady_clock::now() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("still running after ", limit.count(), " ms:\n", Log()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return *ended_;
}

void Background::Signal(int signal) const {
  if (pid_ > 0 && !ended_.has_value()) {
    kill(-pid_, signal);
  }
}

std::string Background::Log() const { return k3saga::ReadFile(log_file_).value_or(""); }

}  // namespace k3saga::hosts
