#pragma once

#include <cstdint>
#include <vector>

#include "tests/simulation/scenario.h"
#include "tests/simulation/schedule.h"

// Virtual machines with a virtual k3s: start times, etcd's quorum and leadership, Node objects, cordons.
namespace k3saga::simulation {

enum class Release : int8_t { kNone = -1, kOld = 0, kNew = 1 };
const char* Text(Release release);

struct Machine {
  bool server = false;
  Scenario::Node fate;  // what was drawn for it

  // On disk.
  Release file = Release::kOld;
  Release kept = Release::kNone;
  bool staged = false;

  // The process.
  bool up = true;
  Release running = Release::kOld;
  uint32_t pid = 1;
  int64_t started = 0;
  int64_t etcd_at = 0;   // serves etcd from then on
  int64_t ready_at = 0;  // could be ready from then on
  bool ready = true;
  int64_t ready_since = -3'600'000;
  int64_t unready_since = 0;
  int64_t down_since = 0;   // while it is not up
  bool rebooted = false;    // ever, by somebody else
  bool stopped = false;     // on purpose: neither a crash nor a boot starts it
  int data = 0;             // which datastore it has: of what generation; -1: none
  uint64_t touched_by = 0;  // the operation that stopped it and has not come to an end

  // Its Node object.
  int64_t object_ready_at = 0;
  bool unschedulable = false;
  bool ours = false;  // carries our annotation

  bool alarm = false;
  int64_t alarm_since = 0;

  uint8_t pods = 0;         // with a disruption budget, still on the node
  int64_t drain_since = 0;  // 0: nobody drains it
};

class Cluster {
 public:
  Cluster(const Scenario& scenario, Schedule& schedule, Random& random, Faults& faults);

  std::vector<Machine> machines;  // servers first
  int servers = 0;
  int generation = 0;     // of the datastore that the cluster has now; a reset begins the next one
  bool verified = true;   // the server that was reset last is known to be healthy
  bool remedied = false;  // objects of the plan's remedies are in the API

  // A server's datastore is the backup's, and its member the only one.
  void Reset(int node);
  void Stop(int node);
  void Start(int node);   // what is in its file
  void Crash(int node);   // and systemd starts it again
  void Reboot(int node);  // k3s only; agents are somebody else's
  void MoveLeader(int to);
  void RaiseAlarm(int node, int64_t for_ms);

  // Evicts pods as the budgets allow; false: some are left.
  bool Evict(int node);

  bool etcd() const { return etcd_; }
  int leader() const { return leader_; }  // -1: none, as without etcd
  int loops() const { return loops_; }    // which server leads the control loops; -1: nobody just now
  bool EtcdUp(int node) const;
  bool Member(int node) const { return at(node).server && at(node).data == generation; }
  int Members() const;
  int MembersUp() const;
  bool Quorum() const { return 2 * MembersUp() > Members(); }
  bool QuorumWithout(int node) const {
    return !etcd_ || 2 * (MembersUp() - (EtcdUp(node) ? 1 : 0)) > Members();
  }
  bool ObjectReady(int node) const;
  // When it could next be Ready; for whoever waits for it.
  int64_t ObjectReadyAt(int node) const { return machines[static_cast<size_t>(node)].object_ready_at; }

 private:
  Machine& at(int node) { return machines[static_cast<size_t>(node)]; }
  const Machine& at(int node) const { return machines[static_cast<size_t>(node)]; }
  bool CouldBeReady(const Machine& machine, int node) const;
  void Refresh();
  void RefreshAt(int64_t when);
  void LoseLeader();
  void Elect();
  void TakeLoops();
  void BeginCrashes();
  void CrashAnOldServer();

  Schedule& schedule_;
  Random& random_;
  Faults& faults_;
  const bool crashes_while_mixed_;
  const bool etcd_;
  std::vector<int64_t> budget_free_at_;  // by application; one pod of each may be away
  int leader_ = 0;
  int loops_ = 0;
  bool electing_ = false;
  bool crashing_ = false;
  int64_t api_away_until_ = 0;  // after a leader was lost without a move
};

}  // namespace k3saga::simulation
