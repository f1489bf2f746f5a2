#include "tests/simulation/cluster.h"

namespace k3saga::simulation {

const char* Text(Release release) {
  return release == Release::kNew ? kNewVersion : release == Release::kOld ? kOldVersion : "";
}

Cluster::Cluster(const Scenario& scenario, Schedule& schedule, Random& random, Faults& faults)
    : schedule_(schedule),
      random_(random),
      faults_(faults),
      crashes_while_mixed_(scenario.crashes_while_mixed),
      etcd_(scenario.etcd()) {
  for (const Scenario::Node& node : scenario.nodes) {
    Machine machine;
    machine.server = node.server;
    machine.fate = node;
    machine.unschedulable = node.cordoned;
    const bool new_release = node.at_target != scenario.way_back();
    if (new_release) machine.file = machine.running = Release::kNew;
    if (new_release && scenario.way_back()) machine.kept = Release::kOld;
    machine.up = machine.ready = !node.away;
    machine.pods = node.pods;
    servers += node.server ? 1 : 0;
    machines.push_back(machine);
  }
  budget_free_at_.resize(1 + (machines.size() - static_cast<size_t>(servers)) / 3);
  leader_ = etcd_ ? static_cast<int>(random.Below(static_cast<uint32_t>(servers))) : -1;
  loops_ = static_cast<int>(random.Below(static_cast<uint32_t>(servers)));
}

bool Cluster::Evict(int node) {
  Machine& machine = at(node);
  int64_t& free_at = budget_free_at_[static_cast<size_t>(node) % budget_free_at_.size()];
  while (machine.pods > 0 && schedule_.now() >= free_at) {
    --machine.pods;
    free_at = schedule_.now() + random_.Between(500, 4000);  // until it runs elsewhere
  }
  return machine.pods == 0;
}

bool Cluster::EtcdUp(int node) const {
  const Machine& machine = at(node);
  return etcd_ && Member(node) && machine.up && schedule_.now() >= machine.etcd_at;
}

int Cluster::Members() const {
  int members = 0;
  for (int i = 0; i < servers; ++i) members += Member(i) ? 1 : 0;
  return members;
}

int Cluster::MembersUp() const {
  int up = 0;
  for (int i = 0; i < servers; ++i) up += EtcdUp(i) ? 1 : 0;
  return up;
}

bool Cluster::CouldBeReady(const Machine& machine, int node) const {
  const int64_t now = schedule_.now();
  if (!machine.up || now < machine.ready_at) return false;
  if (machine.running == Release::kNew && machine.fate.bad_release) return false;
  if (!machine.server || !etcd_) return true;
  return EtcdUp(node) && leader_ >= 0 && now >= api_away_until_ && Quorum();
}

bool Cluster::ObjectReady(int node) const {
  return at(node).ready && schedule_.now() >= at(node).object_ready_at;
}

void Cluster::Refresh() {
  const int64_t now = schedule_.now();
  if (etcd_ && leader_ < 0 && !electing_ && Quorum()) {
    electing_ = true;
    schedule_.After(random_.Between(1000, 2000), [this] { Elect(); });
  }
  for (size_t i = 0; i < machines.size(); ++i) {
    Machine& machine = machines[i];
    const bool ready = CouldBeReady(machine, static_cast<int>(i));
    if (ready == machine.ready) continue;
    machine.ready = ready;
    (ready ? machine.ready_since : machine.unready_since) = now;
    if (!ready) continue;
    machine.object_ready_at = now + random_.Between(0, 10'000);  // the kubelet's status period
    if (machine.server && machine.running == Release::kNew) BeginCrashes();
    if (machine.server && loops_ < 0) schedule_.After(random_.Between(0, 4'000), [this] { TakeLoops(); });
  }
}

void Cluster::RefreshAt(int64_t when) {
  schedule_.At(when, [this] { Refresh(); });
}

void Cluster::LoseLeader() {
  leader_ = -1;
  api_away_until_ = schedule_.now() + 4000;
  RefreshAt(api_away_until_);
}

void Cluster::Elect() {
  electing_ = false;
  if (leader_ >= 0 || !Quorum()) return;
  const auto first = random_.Below(static_cast<uint32_t>(servers));
  for (int i = 0; i < servers && leader_ < 0; ++i) {
    const int candidate = (static_cast<int>(first) + i) % servers;
    if (EtcdUp(candidate)) leader_ = candidate;
  }
  Refresh();
}

// The Lease is given back or runs out; then any server may be the one that asks first.
void Cluster::TakeLoops() {
  const auto first = random_.Below(static_cast<uint32_t>(servers));
  for (int i = 0; i < servers && loops_ < 0; ++i) {
    const int candidate = (static_cast<int>(first) + i) % servers;
    if (at(candidate).ready) loops_ = candidate;
  }
}

void Cluster::MoveLeader(int to) { leader_ = to; }

void Cluster::Reset(int node) {
  at(node).data = ++generation;
  verified = false;
  leader_ = -1;
}

void Cluster::Stop(int node) {
  Machine& machine = at(node);
  if (!machine.up) return;
  machine.up = false;
  machine.down_since = schedule_.now();
  if (etcd_ && leader_ == node) LoseLeader();
  if (loops_ == node) {
    loops_ = -1;
    schedule_.After(random_.Between(2'000, 19'000), [this] { TakeLoops(); });
  }
  Refresh();
}

void Cluster::Start(int node) {
  Machine& machine = at(node);
  const int64_t now = schedule_.now();
  machine.up = true;
  machine.stopped = false;
  machine.running = machine.file;
  ++machine.pid;
  machine.started = now;
  machine.etcd_at = now + random_.Between(1500, 3500);
  machine.ready_at = now + (machine.server ? random_.Between(6000, 13'000) : random_.Between(2000, 6000));
  if (machine.server) RefreshAt(machine.etcd_at);
  RefreshAt(machine.ready_at);
  Refresh();
}

void Cluster::Crash(int node) {
  if (!at(node).up) return;
  Stop(node);
  const uint32_t pid = at(node).pid;
  schedule_.After(random_.Between(500, 3000), [this, node, pid] {
    if (!at(node).up && !at(node).stopped && at(node).pid == pid) Start(node);
  });
}

void Cluster::Reboot(int node) {
  at(node).rebooted = true;
  Stop(node);
  const uint32_t pid = at(node).pid;
  schedule_.After(random_.Between(15'000, 40'000), [this, node, pid] {
    if (!at(node).up && !at(node).stopped && at(node).pid == pid) Start(node);
  });
}

void Cluster::RaiseAlarm(int node, int64_t for_ms) {
  at(node).alarm = true;
  at(node).alarm_since = schedule_.now();
  schedule_.After(for_ms, [this, node] { at(node).alarm = false; });
}

void Cluster::BeginCrashes() {
  if (!crashes_while_mixed_ || crashing_) return;
  crashing_ = true;
  schedule_.After(random_.Between(11'000, 14'000), [this] { CrashAnOldServer(); });
}

void Cluster::CrashAnOldServer() {
  crashing_ = false;
  if (remedied) return;
  std::vector<int> old;
  bool mixed = false;
  for (int i = 0; i < servers; ++i) {
    mixed = mixed || at(i).running == Release::kNew;
    if (at(i).running == Release::kOld && at(i).up && at(i).touched_by == 0) old.push_back(i);
  }
  if (!mixed || old.empty()) return;
  faults_.Note(Fault::kServerCrashes);
  Crash(old[random_.Below(static_cast<uint32_t>(old.size()))]);
  crashing_ = true;
  schedule_.After(random_.Between(27'000, 46'000), [this] { CrashAnOldServer(); });
}

}  // namespace k3saga::simulation
