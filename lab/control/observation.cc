#include "lab/control/observation.h"

#include <algorithm>

#include "lab/base/layout.h"

namespace k3saga::lab {

using nlohmann::json;

Observation::Observation(std::vector<std::string> servers, std::vector<std::string> workers, int64_t now,
                         int64_t unix_now)
    : begin_(now),
      begin_unix_(unix_now),
      last_success_(now),
      fewest_healthy_(static_cast<int>(servers.size())) {
  for (std::string& name : servers) servers_.push_back({std::move(name)});
  for (std::string& name : workers) workers_.push_back({std::move(name)});
}

void Observation::WriteEnded(bool success, int64_t now) {
  if (!success) {
    ++failed_writes_;
    return;
  }
  ++writes_;
  if (now - last_success_ > longest_gap_) {
    longest_gap_ = now - last_success_;
    longest_gap_begin_ = last_success_;
  }
  last_success_ = now;
}

void Observation::Track(Tracked& node, bool up, int64_t now) {
  if (node.up == up) return;
  node.up = up;
  if (!up) {
    node.down_since = now;
    ++node.times_down;
    return;
  }
  node.down_total += now - node.down_since;
  node.down_longest = std::max(node.down_longest, now - node.down_since);
}

void Observation::ServersSeen(const std::vector<ServerSight>& sights, int64_t now) {
  int healthy = 0;
  int down = 0;
  for (size_t i = 0; i < sights.size(); ++i) {
    Track(servers_[i], sights[i].serving, now);
    healthy += sights[i].member_healthy ? 1 : 0;
    down += sights[i].serving ? 0 : 1;
  }
  fewest_healthy_ = std::min(fewest_healthy_, healthy);
  most_servers_down_ = std::max(most_servers_down_, down);
}

void Observation::WorkersSeen(const std::vector<bool>& serving, int64_t now) {
  int down = 0;
  for (size_t i = 0; i < serving.size(); ++i) {
    Track(workers_[i], serving[i], now);
    down += serving[i] ? 0 : 1;
  }
  most_workers_down_ = std::max(most_workers_down_, down);
}

json Observation::ToJson(const std::vector<Tracked>& nodes, int64_t now) {
  json list = json::array();
  for (const Tracked& node : nodes) {
    const int64_t open = node.up ? 0 : now - node.down_since;
    list.push_back({{"name", node.name},
                    {"up", node.up},
                    {"times_down", node.times_down},
                    {"down_ms", node.down_total + open},
                    {"longest_down_ms", std::max(node.down_longest, open)}});
  }
  return list;
}

int64_t Observation::LongestGap(int64_t now) const { return std::max(longest_gap_, now - last_success_); }

json Observation::ToJson(int64_t now) const {
  const bool open = now - last_success_ > longest_gap_;
  const int64_t gap_begin = open ? last_success_ : longest_gap_begin_;
  return {{"since", FormatTime(begin_unix_)},
          {"observed_ms", now - begin_},
          {"writes", writes_},
          {"failed_writes", failed_writes_},
          {"longest_write_gap_ms", LongestGap(now)},
          {"longest_write_gap_at", FormatMicroTime(begin_unix_ + gap_begin - begin_)},
          {"members", servers_.size()},
          {"fewest_healthy_members", fewest_healthy_},
          {"most_servers_down", most_servers_down_},
          {"most_workers_down", most_workers_down_},
          {"servers", ToJson(servers_, now)},
          {"workers", ToJson(workers_, now)}};
}

}  // namespace k3saga::lab
