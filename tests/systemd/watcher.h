#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/systemd/kube_client.h"

namespace k3saga::hosts {

// What somebody outside saw of the servers between Start and Stop. Seconds.
struct Observation {
  double none_ready = 0;                  // moments without a ready server, together
  double two_unready = 0;                 // two or more unready at once, together
  std::map<std::string, double> unready;  // each server
  double longest_write_gap =
      0;  // between two writes that succeeded; a client that tries every server in turn
  uint64_t writes = 0;
  double last_change = 0;  // since Start: when a server last became ready or unready
  struct Change {
    double at = 0;
    std::string server;
    bool ready = false;
  };
  std::vector<Change> changes;  // in the order of time
};

// Adds up how long how many were unready. A value, fed in the order of time; tested by itself.
class ReadinessTally {
 public:
  explicit ReadinessTally(std::vector<std::string> servers);  // all ready
  void Note(double at, const std::string& server, bool ready);
  void Finish(double at, Observation* observation);

 private:
  void Pass(double at);

  std::map<std::string, bool> ready_;
  double now_ = 0;
  Observation seen_;
};

// Watches a cluster from outside: each server's /readyz ten times a second, and a write to a ConfigMap as
// often.
class Watcher {
 public:
  struct Server {
    std::string name;
    std::string address;
  };
  // The servers are ready now. `access` is copied.
  Watcher(std::string network, std::vector<Server> servers, AdminAccess access);
  ~Watcher();

  void Start();
  double Elapsed() const;  // seconds since Start
  Observation Stop();

 private:
  void WatchServer(const Server& server);
  void Write();

  const std::string network_;
  const std::vector<Server> servers_;
  const AdminAccess access_;
  std::chrono::steady_clock::time_point started_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
  std::mutex mutex_;  // guards what follows
  std::vector<Observation::Change> changes_;
  double longest_gap_ = 0;
  uint64_t writes_ = 0;
};

}  // namespace k3saga::hosts
