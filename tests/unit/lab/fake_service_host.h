#pragma once

#include <string>
#include <vector>

#include "lab/systemd/service.h"

namespace k3saga::lab {

// A machine without processes: pids count up, signals and timers are noted.
class FakeServiceHost final : public ServiceHost {
 public:
  struct Sent {
    int pid;
    int signal;
    bool group;
  };
  struct Timer {
    std::string unit;
    int64_t millis;
    uint64_t token;
  };

  absl::StatusOr<int> Spawn(const std::string&, const UnitFile& file) override {
    if (!spawn_error.ok()) return spawn_error;
    spawned.push_back(file.exec_start.empty() ? "" : file.exec_start.front());
    return ++last_pid;
  }
  void Signal(int pid, int signal, bool group) override { signals.push_back({pid, signal, group}); }
  int64_t NowMicros() const override { return now_micros; }
  void WakeLater(const std::string& unit, int64_t millis, uint64_t token) override {
    timers.push_back({unit, millis, token});
  }
  void Log(const std::string&, const std::string& line) override { log.push_back(line); }

  int last_pid = 100;
  int64_t now_micros = 1'000'000;
  absl::Status spawn_error;
  std::vector<std::string> spawned;
  std::vector<Sent> signals;
  std::vector<Timer> timers;
  std::vector<std::string> log;
};

// waitpid's status words.
constexpr int ExitStatus(int code) { return code << 8; }
constexpr int KilledBy(int signal) { return signal; }

}  // namespace k3saga::lab
