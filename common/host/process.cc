#include "common/host/process.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/host/clock.h"
#include "common/host/unique_fd.h"
#include "common/status_macros.h"

namespace k3saga {
namespace {

using std::chrono::milliseconds;

// How often a child is looked at where the kernel has no pidfd (before 5.3).
constexpr milliseconds kPollWithoutPidfd{20};

absl::Status SystemError(std::string_view what, int error) {
  return absl::InternalError(absl::StrCat(std::string(what), ": ", std::strerror(error)));
}

// The last `cap` bytes of a stream.
class Tail {
 public:
  explicit Tail(size_t cap) : cap_(cap) {}

  void Append(const char* data, size_t size) {
    text_.append(data, size);
    if (text_.size() > 2 * cap_ + 4096) Trim();
  }
  std::string Take(bool* truncated) {
    if (text_.size() > cap_) Trim();
    *truncated = *truncated || truncated_;
    return std::move(text_);
  }

 private:
  void Trim() {
    text_.erase(0, text_.size() - cap_);
    truncated_ = true;
  }

  size_t cap_;
  std::string text_;
  bool truncated_ = false;
};

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError("pipe", errno);
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  // Only our end: the child expects a blocking one.
  fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

// A file in memory instead of a pipe: nobody has to feed it, and a child that does not read costs no SIGPIPE.
absl::StatusOr<UniqueFd> MakeStdin(const std::string& data) {
  if (data.empty()) {
    UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.valid()) return SystemError("open /dev/null", errno);
    return null;
  }
  UniqueFd memory(memfd_create("stdin", MFD_CLOEXEC));
  if (!memory.valid()) return SystemError("memfd_create", errno);
  for (size_t done = 0; done < data.size();) {
    const ssize_t n = write(memory.get(), data.data() + done, data.size() - done);
    if (n < 0 && errno != EINTR) return SystemError("write stdin data", errno);
    if (n > 0) done += static_cast<size_t>(n);
  }
  lseek(memory.get(), 0, SEEK_SET);
  return memory;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Returns the pid, leader of its own process group.
absl::StatusOr<pid_t> Spawn(const Command& command, int in, int out, int err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  const std::string directory = command.working_directory.empty() ? "/" : command.working_directory;
  posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t every;
  sigemptyset(&none);
  sigfillset(&every);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &every);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  pid_t pid = 0;
  std::vector<char*> argv = Pointers(command.argv);
  std::vector<char*> environment = Pointers(command.environment);
  const int error =
      posix_spawnp(&pid, command.argv[0].c_str(), &actions, &attributes, argv.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT || error == EACCES || error == ENOTDIR) {
    return absl::NotFoundError(absl::StrCat("cannot run ", command.argv[0], ": ", std::strerror(error)));
  }
  if (error != 0) return SystemError(absl::StrCat("cannot run ", command.argv[0]), error);
  return pid;
}

UniqueFd OpenPidfd(pid_t pid) { return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

// True at end of file (or a broken descriptor); false when there is nothing more for now.
bool Drain(int fd, Tail* tail) {
  char buffer[16384];
  while (true) {
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n > 0) {
      tail->Append(buffer, static_cast<size_t>(n));
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    return true;
  }
}

// Follows one child until it ended or its deadline passed; owns it until it is reaped.
class Child {
 public:
  Child(pid_t pid, UniqueFd out, UniqueFd err, size_t cap)
      : pid_(pid),
        pidfd_(OpenPidfd(pid)),
        out_(std::move(out)),
        err_(std::move(err)),
        out_tail_(cap),
        err_tail_(cap) {}

  // False: the deadline passed and the group was killed.
  bool Follow(milliseconds deadline) {
    const SystemClock clock;
    const milliseconds end = clock.Steady() + deadline;
    bool in_time = true;
    while (!Reap(WNOHANG)) {
      const milliseconds left = end - clock.Steady();
      if (left.count() <= 0) {
        kill(-pid_, SIGKILL);
        in_time = false;
        Reap(0);
        break;
      }
      Wait(left);
    }
    // What it wrote before it ended is in the pipes by now; who else holds them is not waited for.
    if (out_.valid()) Drain(out_.get(), &out_tail_);
    if (err_.valid()) Drain(err_.get(), &err_tail_);
    return in_time;
  }

  ProcessResult TakeResult() {
    ProcessResult result;
    result.exit_code = WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
    result.signal = WIFSIGNALED(status_) ? WTERMSIG(status_) : 0;
    result.out = out_tail_.Take(&result.truncated);
    result.err = err_tail_.Take(&result.truncated);
    return result;
  }

 private:
  bool Reap(int options) {
    pid_t reaped;
    do {
      reaped = waitpid(pid_, &status_, options);
    } while (reaped < 0 && errno == EINTR);
    return reaped == pid_ || reaped < 0;
  }

  void Wait(milliseconds left) {
    pollfd watched[3] = {{out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}};
    const milliseconds longest = pidfd_.valid() ? milliseconds(60'000) : kPollWithoutPidfd;
    poll(watched, 3, static_cast<int>(std::min(left, longest).count()));  // negative descriptors are skipped
    if (watched[0].revents != 0 && Drain(out_.get(), &out_tail_)) out_.reset();
    if (watched[1].revents != 0 && Drain(err_.get(), &err_tail_)) err_.reset();
  }

  pid_t pid_;
  UniqueFd pidfd_;
  UniqueFd out_;
  UniqueFd err_;
  Tail out_tail_;
  Tail err_tail_;
  int status_ = 0;
};

std::string LastLine(std::string_view text) {
  constexpr size_t kLongest = 300;
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  const size_t newline = text.rfind('\n');
  if (newline != std::string_view::npos) text.remove_prefix(newline + 1);
  return std::string(text.substr(0, kLongest));
}

}  // namespace

std::string ProcessResult::Describe() const {
  std::string text =
      signal != 0 ? absl::StrCat("killed by signal ", signal) : absl::StrCat("exit status ", exit_code);
  std::string last = LastLine(err);
  if (last.empty()) last = LastLine(out);
  if (!last.empty()) absl::StrAppend(&text, ": ", last);
  return text;
}

absl::StatusOr<ProcessResult> Run(const Command& command) {
  if (command.argv.empty()) return absl::InvalidArgumentError("cannot run an empty command");
  K3SAGA_ASSIGN_OR_RETURN(UniqueFd in, MakeStdin(command.stdin_data));
  K3SAGA_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  K3SAGA_ASSIGN_OR_RETURN(Pipe err, MakePipe());
  K3SAGA_ASSIGN_OR_RETURN(const pid_t pid, Spawn(command, in.get(), out.write.get(), err.write.get()));
  out.write.reset();
  err.write.reset();

  Child child(pid, std::move(out.read), std::move(err.read), command.output_cap);
  const bool in_time = child.Follow(command.deadline);
  ProcessResult result = child.TakeResult();
  if (!in_time) {
    const std::string last = LastLine(result.err.empty() ? result.out : result.err);
    return absl::DeadlineExceededError(absl::StrCat(command.argv[0], " did not end within ",
                                                    command.deadline.count(), " ms and was killed",
                                                    last.empty() ? "" : "; last line: ", last));
  }
  return result;
}

absl::StatusOr<std::string> RunForOutput(const Command& command) {
  K3SAGA_ASSIGN_OR_RETURN(ProcessResult result, Run(command));
  if (!result.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(command.argv[0], ": ", result.Describe()));
  }
  return std::move(result.out);
}

std::vector<std::string> PlainEnvironment() {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
}

}  // namespace k3saga
