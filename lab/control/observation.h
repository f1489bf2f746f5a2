#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace k3saga::lab {

// What a client of the cluster saw. Pure bookkeeping: the observer feeds it, `report` prints it, tests check
// it. Times are milliseconds of one steady clock, except where a name says unix.
class Observation {
 public:
  Observation(std::vector<std::string> servers, std::vector<std::string> workers, int64_t now,
              int64_t unix_now);

  void WriteEnded(bool success, int64_t now);
  // One sweep over all servers: which of them serve their API, and which have a healthy etcd member.
  struct ServerSight {
    bool serving = false;
    bool member_healthy = false;
  };
  void ServersSeen(const std::vector<ServerSight>& sights, int64_t now);
  void WorkersSeen(const std::vector<bool>& serving, int64_t now);

  // A gap that is still open counts up to `now`.
  nlohmann::json ToJson(int64_t now) const;

 private:
  struct Tracked {
    std::string name;
    bool up = true;
    int64_t down_since = 0;
    int64_t down_total = 0;
    int64_t down_longest = 0;
    int times_down = 0;
  };
  static void Track(Tracked& node, bool up, int64_t now);
  static nlohmann::json ToJson(const std::vector<Tracked>& nodes, int64_t now);
  int64_t LongestGap(int64_t now) const;

  int64_t begin_;
  int64_t begin_unix_;
  int64_t writes_ = 0;
  int64_t failed_writes_ = 0;
  int64_t last_success_;
  int64_t longest_gap_ = 0;
  int64_t longest_gap_begin_ = 0;
  int fewest_healthy_;
  int most_servers_down_ = 0;
  int most_workers_down_ = 0;
  std::vector<Tracked> servers_;
  std::vector<Tracked> workers_;
};

}  // namespace k3saga::lab
