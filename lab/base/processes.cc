#include "lab/base/processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>

#include <absl/strings/numbers.h>

#include "lab/base/files.h"

namespace k3saga::lab {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::optional<Process> ReadProcess(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const size_t open = line.find('(');
  const size_t close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  std::vector<std::string> fields = absl::StrSplit(line.substr(close + 2), ' ');
  constexpr size_t kStartTime = 19;  // field 22 of proc(5), counted from the state
  Process process;
  if (fields.size() <= kStartTime || !absl::SimpleAtoi(fields[1], &process.parent) ||
      !absl::SimpleAtoi(fields[kStartTime], &process.start_ticks)) {
    return std::nullopt;
  }
  process.pid = pid;
  process.state = fields[0];
  process.command = line.substr(open + 1, close - open - 1);
  return process;
}

}  // namespace

absl::StatusOr<int> SpawnChild(const SpawnRequest& request) {
  const int log = open(request.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", request.log.string()));
  std::vector<char*> arguments = Pointers(request.arguments);
  std::vector<char*> environment = Pointers(request.environment);
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) != 0) {
    close(log);
    return absl::ErrnoToStatus(errno, "pipe");
  }
  const int pid = fork();
  if (pid == 0) {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execve(arguments[0], arguments.data(), environment.data());
    const int error = errno;
    if (write(error_pipe[1], &error, sizeof(error)) < 0) _exit(126);
    _exit(127);
  }
  close(log);
  close(error_pipe[1]);
  if (pid < 0) {
    close(error_pipe[0]);
    return absl::ErrnoToStatus(errno, "fork");
  }
  int error = 0;
  ssize_t got = 0;
  do {
    got = read(error_pipe[0], &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  close(error_pipe[0]);
  if (got == 0) return pid;
  waitpid(pid, nullptr, 0);
  return absl::ErrnoToStatus(error, absl::StrCat("Failed at step EXEC spawning ", request.arguments[0]));
}

std::vector<Process> AllProcesses() {
  std::vector<Process> all;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    if (auto process = ReadProcess(pid)) all.push_back(*std::move(process));
  }
  return all;
}

std::vector<Process> Descendants(const std::vector<Process>& all, int ancestor) {
  std::set<int> known = {ancestor};
  std::vector<Process> below;
  for (bool grew = true; grew;) {
    grew = false;
    for (const Process& process : all) {
      if (known.count(process.parent) == 0 || !known.insert(process.pid).second) continue;
      below.push_back(process);
      grew = true;
    }
  }
  return below;
}

std::vector<Process> ProcessesOfLab(const std::filesystem::path& dir) {
  const std::string mark = "K3SAGA_LAB_DIR=" + dir.string();
  std::vector<Process> found;
  for (Process& process : AllProcesses()) {
    if (process.pid == getpid()) continue;
    auto environment = ReadFile("/proc/" + std::to_string(process.pid) + "/environ");
    if (!environment.ok()) continue;
    std::vector<std::string> variables = absl::StrSplit(*environment, '\0');
    if (std::find(variables.begin(), variables.end(), mark) != variables.end()) {
      found.push_back(std::move(process));
    }
  }
  return found;
}

void KillExactly(const Process& process) {
  auto now = ReadProcess(process.pid);
  if (now.has_value() && now->start_ticks == process.start_ticks) kill(process.pid, SIGKILL);
}

}  // namespace k3saga::lab
