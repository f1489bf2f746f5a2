#include "agent/health/monitor.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <algorithm>

#include "agent/kube/components.h"
#include "common/reason.h"

namespace k3saga::health {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kOneLook{2000};  // with the interval below ReadinessTracker::kLongestGap
constexpr milliseconds kInterest{60'000};

// The shares of a probe's timeout: a server that hangs must not use up all of it in one place.
milliseconds Share(milliseconds timeout) { return std::max(timeout / 3, milliseconds(100)); }

// Both clocks begin with the machine; suspended time makes it look younger only.
milliseconds AgeOf(const MainProcess& process, milliseconds now) {
  static const auto ticks_per_second = static_cast<uint64_t>(std::max(1L, sysconf(_SC_CLK_TCK)));
  if (process.pid == 0) return milliseconds(0);
  return std::max(now - milliseconds(process.start_ticks * 1000 / ticks_per_second), milliseconds(0));
}

void AddEtcd(const etcd::ClusterView& view, v1::ServerProof& proof) {
  v1::EtcdFacts facts = etcd::ToFacts(view);
  proof.set_etcd_serving(facts.linearizable_read() && facts.leader_id() != 0);
  proof.set_member_id(facts.member_id());
  proof.set_leader_id(facts.leader_id());
  proof.set_learner(facts.learner());
  proof.set_applied_index(facts.applied_index());
  proof.set_etcd_version(facts.version());
  proof.set_etcd_cluster_version(etcd::LowestVersion(view));
  proof.mutable_alarms()->Swap(facts.mutable_alarms());
  proof.mutable_members()->Swap(facts.mutable_members());
}

}  // namespace

ReadinessMonitor::ReadinessMonitor(Parts parts)
    : parts_(std::move(parts)), thread_([this](const std::stop_token& stop) { Run(stop); }) {}

ReadinessMonitor::~ReadinessMonitor() = default;

void ReadinessMonitor::ClaimHeld(bool held) {
  const std::lock_guard lock(mutex_);
  claim_held_ = held;
  wake_.notify_all();
}

bool ReadinessMonitor::Wanted() const {
  return claim_held_ || (last_probe_ && parts_.clock->Steady() - *last_probe_ < kInterest);
}

void ReadinessMonitor::Look(milliseconds timeout) {
  const std::lock_guard looking(look_mutex_);
  const auto before = parts_.local->Main();
  const absl::Status ready = parts_.checks->Ready(timeout);
  const auto after = parts_.local->Main();
  Observation observation;
  observation.at = parts_.clock->Steady();  // after the look: ready no earlier than it was seen to be
  if (after.ok()) {
    observation.process = *after;
    observation.process_age = AgeOf(*after, observation.at);
  }
  // An answer counts only if it came from the process that still runs.
  observation.ready = ready.ok() && before.ok() && after.ok() && *before == *after;
  if (!observation.ready) {
    const absl::Status& why = !ready.ok() ? ready : after.status();
    observation.note = why.ok() ? "k3s's main process was replaced just now" : ReasonOf(why).detail();
  }
  std::string words;
  if (LostItsProcess(observation)) {
    words = parts_.local->LastWords();  // now: soon its successor's lines stand there
  }
  const std::lock_guard lock(mutex_);
  tracker_.See(observation);
  if (!words.empty()) {
    last_words_ = std::move(words);
  }
}

bool ReadinessMonitor::LostItsProcess(const Observation& observation) const {
  const std::lock_guard lock(mutex_);
  return tracker_.last() && tracker_.last()->process.pid != 0 &&
         !(tracker_.last()->process == observation.process);
}

v1::ServerProof ReadinessMonitor::Prove(bool with_nodes, milliseconds timeout) {
  {
    const std::lock_guard lock(mutex_);
    last_probe_ = parts_.clock->Steady();
    wake_.notify_all();
  }
  Look(std::min(Share(timeout), kOneLook));
  v1::ServerProof proof;
  proof.set_node(parts_.node);
  proof.set_reachable(true);
  {
    const std::lock_guard lock(mutex_);
    const Observation& last = *tracker_.last();
    proof.set_ready(last.ready);
    proof.set_ready_for_ms(static_cast<uint64_t>(tracker_.ready_for().count()));
    proof.set_main_pid(last.process.pid);
    proof.set_main_start_ticks(last.process.start_ticks);
    proof.set_note(last.note);
    if (last.ready && tracker_.restarts() > 0 && tracker_.ready_for() < kInterest && !last_words_.empty()) {
      proof.set_note(absl::StrCat("k3s was started anew; its last words before: ", last_words_));
    }
  }
  proof.set_running_version(parts_.local->RunningVersion());
  if (!proof.ready()) {
    const std::string words = parts_.local->LastWords();
    if (!words.empty()) {
      absl::StrAppend(proof.mutable_note(), "; k3s's last words: ", words);
    }
  }
  if (parts_.local->Role().runs_etcd) {
    AddEtcd(parts_.etcd->View(Share(timeout)), proof);
  }
  if (proof.ready() && parts_.local->Role().runs_apiserver) {
    const auto leads =
        parts_.kube->LeadershipOf(kube::HostOfLeaders(), {.timeout = Share(timeout), .stop = {}});
    proof.set_leads_control_loops(leads.ok() && kube::LeadsControllers(*leads));
  }
  if (with_nodes) {
    const auto nodes = parts_.kube->Nodes({.timeout = Share(timeout), .stop = {}});
    if (nodes.ok()) {
      proof.mutable_nodes()->Assign(nodes->begin(), nodes->end());
    }
    const auto components = parts_.kube->PackagedComponents({.timeout = Share(timeout), .stop = {}});
    for (const v1::PackagedComponent& component :
         components.ok() ? *components : std::vector<v1::PackagedComponent>()) {
      v1::Reason trouble = kube::TroubleOf(component);
      if (trouble.code() != v1::REASON_UNSPECIFIED) *proof.add_components() = std::move(trouble);
    }
  }
  return proof;
}

uint32_t ReadinessMonitor::restarts() const {
  const std::lock_guard lock(mutex_);
  return tracker_.restarts();
}

void ReadinessMonitor::Run(const std::stop_token& stop) {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (!Wanted()) {
        lock.unlock();
        parts_.checks->Rest();
        lock.lock();
      }
      if (!wake_.wait(lock, stop, [this] { return Wanted(); })) {
        return;
      }
    }
    Look(kOneLook);
    std::unique_lock lock(mutex_);
    // How long it has been ready is known as exactly as its first ready look.
    const milliseconds pause = tracker_.last()->ready ? parts_.interval : parts_.interval / 4;
    wake_.wait_for(lock, stop, pause, [] { return false; });
    if (stop.stop_requested()) {
      return;
    }
  }
}

}  // namespace k3saga::health
