#include "lab/systemd/service.h"

#include <signal.h>
#include <sys/wait.h>

#include <utility>

namespace k3saga::lab {
namespace {

constexpr int kExecFailed = 203;  // systemd's EXIT_EXEC

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? std::to_string(signal) : name;
}

// Unique among all services, so that no timer of a service before this one of the same name can wake it.
uint64_t NextToken() {
  static uint64_t last = 0;
  return ++last;
}

}  // namespace

void Service::Start(JobDone done) {
  if (state_ == State::kRunning) return done("");
  waiting_.push_back(std::move(done));
  switch (state_) {
    case State::kStarting:
      return;
    case State::kStopping:
      start_after_stop_ = true;
      return;
    default:
      if (state_ != State::kAutoRestart) restarts_ = 0;
      Spawn();
  }
}

void Service::Stop(JobDone done) {
  Finish("Job for " + name_ + " canceled.");
  start_after_stop_ = false;
  if (Idle()) return done("");
  waiting_.push_back(std::move(done));
  BeginStop();
}

void Service::Restart(JobDone done) {
  Finish("Job for " + name_ + " canceled.");
  restarts_ = 0;  // a manual restart forgets the crashes before it
  waiting_.push_back(std::move(done));
  if (Idle() || state_ == State::kAutoRestart) return Spawn();
  start_after_stop_ = true;
  if (state_ != State::kStopping) BeginStop();
}

void Service::ResetFailed() {
  restarts_ = 0;
  if (state_ != State::kFailed) return;
  state_ = State::kInactive;
  result_ = "success";
}

void Service::BeginStop() {
  if (state_ == State::kAutoRestart) {
    state_ = State::kInactive;
    return Finish("");
  }
  host_.Log(name_, "Stopping " + name_ + "...");
  state_ = State::kStopping;
  host_.Signal(pid_, SIGTERM, file_.kill_group);
  Arm(file_.stop_timeout_ms);
}

void Service::Spawn() {
  token_ = NextToken();
  start_after_stop_ = false;
  result_ = "success";
  exec_status_ = 0;
  started_micros_ = host_.NowMicros();
  absl::StatusOr<int> pid = host_.Spawn(name_, file_);
  if (!pid.ok()) {
    host_.Log(name_, name_ + ": " + std::string(pid.status().message()));
    exec_status_ = kExecFailed;
    result_ = "exit-code";
    return Ended(false);
  }
  pid_ = *pid;
  if (file_.type == UnitFile::Type::kNotify || file_.type == UnitFile::Type::kOneshot) {
    state_ = State::kStarting;
    return Arm(file_.start_timeout_ms);
  }
  EnterRunning();
}

void Service::EnterRunning() {
  state_ = State::kRunning;
  token_ = NextToken();
  host_.Log(name_, "Started " + name_ + ".");
  Arm(file_.runtime_max_ms);
  Finish("");
}

void Service::NotifiedReady() {
  if (state_ == State::kStarting) EnterRunning();
}

void Service::MainProcessExited(int wait_status) {
  const bool exited = WIFEXITED(wait_status);
  const int code = exited ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status);
  exec_status_ = code;
  bool success = exited && code == 0;
  for (int allowed : file_.success_statuses) success = success || (exited && code == allowed);
  if (!exited && (code == SIGTERM || code == SIGINT || code == SIGHUP || code == SIGPIPE)) success = true;
  if (!success || code != 0) {
    host_.Log(name_, name_ + ": Main process exited, code=" + (exited ? "exited" : "killed") +
                         ", status=" + std::to_string(code) + (exited ? "" : "/" + SignalName(code)));
  }
  if (result_ == "success" && !success) result_ = exited ? "exit-code" : "signal";
  if (file_.kill_group) host_.Signal(pid_, SIGKILL, true);  // what it left behind in its session
  pid_ = 0;
  if (state_ == State::kStarting && file_.type == UnitFile::Type::kOneshot && success) {
    state_ = State::kInactive;
    return Finish("");
  }
  Ended(success);
}

void Service::Ended(bool success) {
  token_ = NextToken();
  const bool stopping = state_ == State::kStopping;
  if (!success) host_.Log(name_, name_ + ": Failed with result '" + result_ + "'.");
  if (stopping && start_after_stop_) return Spawn();
  const bool again = !stopping && (file_.restart == UnitFile::Restart::kAlways ||
                                   (file_.restart == UnitFile::Restart::kOnFailure && !success));
  if (again) {
    state_ = State::kAutoRestart;
    Arm(std::max<int64_t>(file_.restart_ms, 1));
  } else {
    state_ = success ? State::kInactive : State::kFailed;
  }
  if (stopping) return Finish("");
  // Whoever waits for this start: it failed, also when systemd is about to try again.
  Finish("Job for " + name_ +
         " failed because the control process exited with error code.\nSee \"systemctl status " + name_ +
         "\" and \"journalctl -xeu " + name_ + "\" for details.");
}

void Service::Wake(uint64_t token) {
  if (token != token_) return;
  switch (state_) {
    case State::kAutoRestart:
      ++restarts_;
      host_.Log(name_,
                name_ + ": Scheduled restart job, restart counter is at " + std::to_string(restarts_) + ".");
      return Spawn();
    case State::kStopping:
      host_.Log(name_, name_ + ": State 'stop-sigterm' timed out. Killing.");
      result_ = "timeout";
      return host_.Signal(pid_, SIGKILL, file_.kill_group);
    case State::kStarting:
    case State::kRunning:
      host_.Log(name_,
                name_ + (state_ == State::kStarting ? ": start operation timed out. Terminating."
                                                    : ": Service reached runtime time limit. Stopping."));
      result_ = "timeout";
      return host_.Signal(pid_, SIGKILL, file_.kill_group);
    default:
      return;
  }
}

void Service::Arm(int64_t millis) {
  token_ = NextToken();
  if (millis > 0) host_.WakeLater(name_, millis, token_);
}

void Service::Finish(const std::string& failure) {
  std::vector<JobDone> waiting = std::exchange(waiting_, {});
  for (JobDone& done : waiting) done(failure);
}

std::map<std::string, std::string> Service::Properties() const {
  struct Names {
    const char* active;
    const char* sub;
  };
  const Names names = [this]() -> Names {
    switch (state_) {
      case State::kStarting:
        return {"activating", "start"};
      case State::kRunning:
        return {"active", "running"};
      case State::kStopping:
        return {"deactivating", "stop-sigterm"};
      case State::kAutoRestart:
        return {"activating", "auto-restart"};
      case State::kFailed:
        return {"failed", "failed"};
      case State::kInactive:
        break;
    }
    return {"inactive", "dead"};
  }();
  return {{"Id", name_},
          {"LoadState", "loaded"},
          {"ActiveState", names.active},
          {"SubState", names.sub},
          {"MainPID", std::to_string(pid_)},
          {"NRestarts", std::to_string(restarts_)},
          {"ExecMainStartTimestampMonotonic", std::to_string(started_micros_)},
          {"ExecMainStatus", std::to_string(exec_status_)},
          {"Result", result_},
          {"FragmentPath", file_.fragment_path},
          {"DropInPaths", absl::StrJoin(file_.drop_in_paths, " ")}};
}

}  // namespace k3saga::lab
