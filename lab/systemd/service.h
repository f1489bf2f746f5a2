#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/systemd/unit_file.h"

namespace k3saga::lab {

// How a job (start, stop, restart) ended: empty means done, otherwise what systemctl says on stderr.
using JobDone = std::function<void(std::string failure)>;

// What a service needs of the machine. The daemon implements it with real processes, tests with a fake.
class ServiceHost {
 public:
  virtual ~ServiceHost() = default;
  // Starts the main process in a session of its own. The error says why it could not be executed.
  virtual absl::StatusOr<int> Spawn(const std::string& unit, const UnitFile& file) = 0;
  // `group`: the main process's session as well.
  virtual void Signal(int pid, int signal, bool group) = 0;
  virtual int64_t NowMicros() const = 0;
  // Calls `service->Wake(token)` after `millis`.
  virtual void WakeLater(const std::string& unit, int64_t millis, uint64_t token) = 0;
  virtual void Log(const std::string& unit, const std::string& line) = 0;
};

// One service as systemd runs it: which state it is in and what follows. No I/O but through ServiceHost; not
// thread-safe (the daemon has one thread).
class Service {
 public:
  Service(std::string name, UnitFile file, ServiceHost& host)
      : name_(std::move(name)), file_(std::move(file)), host_(host) {}

  // Jobs. `done` is called once, at the latest when a later job takes this one's place.
  void Start(JobDone done);
  void Stop(JobDone done);
  void Restart(JobDone done);
  void ResetFailed();

  // Events.
  void MainProcessExited(int wait_status);
  void NotifiedReady();
  void Wake(uint64_t token);

  void Reload(UnitFile file) { file_ = std::move(file); }
  const UnitFile& file() const { return file_; }
  int main_pid() const { return pid_; }
  bool Idle() const { return state_ == State::kInactive || state_ == State::kFailed; }
  bool Running() const { return state_ == State::kRunning; }

  // The properties that `systemctl show` prints.
  std::map<std::string, std::string> Properties() const;

 private:
  enum class State { kInactive, kStarting, kRunning, kStopping, kAutoRestart, kFailed };

  void Spawn();
  void EnterRunning();
  void Ended(bool success);
  void Arm(int64_t millis);
  void Finish(const std::string& failure);
  void BeginStop();

  std::string name_;
  UnitFile file_;
  ServiceHost& host_;
  State state_ = State::kInactive;
  int pid_ = 0;
  int restarts_ = 0;
  int64_t started_micros_ = 0;
  int exec_status_ = 0;
  std::string result_ = "success";
  bool start_after_stop_ = false;
  uint64_t token_ = 0;  // of the timer that counts; older ones are ignored
  std::vector<JobDone> waiting_;
};

}  // namespace k3saga::lab
