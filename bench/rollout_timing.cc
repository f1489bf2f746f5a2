#include "bench/rollout_timing.h"

#include <algorithm>
#include <functional>
#include <map>
#include <queue>

namespace k3saga::bench {
namespace {

struct Issued {
  v1::OperationIssued operation;
  int64_t at = 0;
};

size_t Slots(const v1::Plan& plan, size_t workers) {
  const v1::Limit& limit = plan.policies().workers().max_unavailable();
  const size_t slots = limit.percent() ? workers * limit.value() / 100 : limit.value();
  return std::max<size_t>(1, slots);
}

// A worker's own part of an operation: what would take as long if nobody coordinated anything.
bool PartOfChain(v1::OperationSpec::VerbCase verb) {
  return verb == v1::OperationSpec::kCordon || verb == v1::OperationSpec::kDrain ||
         verb == v1::OperationSpec::kInstall || verb == v1::OperationSpec::kAwaitNode ||
         verb == v1::OperationSpec::kUncordon;
}

// When the last one ends if each goes, in this order, into the slot that is free first.
int64_t Pack(const std::vector<int64_t>& chains, size_t slots) {
  std::priority_queue<int64_t, std::vector<int64_t>, std::greater<>> free;
  for (size_t i = 0; i < slots; ++i) free.push(0);
  int64_t end = 0;
  for (const int64_t chain : chains) {
    const int64_t done = free.top() + chain;
    free.pop();
    free.push(done);
    end = std::max(end, done);
  }
  return end;
}

// The policy wants the canaries verified before any other begins.
int64_t PackAfterCanaries(const std::vector<int64_t>& chains, size_t canaries, size_t slots) {
  const auto others = chains.begin() + static_cast<std::ptrdiff_t>(std::min(canaries, chains.size()));
  return Pack({chains.begin(), others}, std::min(canaries, slots)) + Pack({others, chains.end()}, slots);
}

}  // namespace

RolloutTiming Measure(const std::vector<v1::Event>& events) {
  RolloutTiming timing;
  std::map<uint64_t, Issued> open;
  std::map<std::string, size_t> begun;  // place in `chains`, in the order the workers were begun
  std::vector<int64_t> chains;
  std::map<std::string, bool> server;
  v1::Plan plan;
  int64_t created = 0;
  for (const v1::Event& event : events) {
    if (event.has_created()) {
      created = event.unix_ms();
      plan = event.created().plan();
      for (const v1::PlannedNode& node : plan.nodes()) server[node.name()] = node.role() == v1::ROLE_SERVER;
    } else if (event.has_issued()) {
      open[event.issued().sequence()] = {event.issued(), event.unix_ms()};
    } else if (event.has_settled()) {
      const Issued& issued = open[event.settled().sequence()];
      const auto verb = issued.operation.spec().verb_case();
      const std::string& node = issued.operation.node();
      const v1::Outcome& outcome = event.settled().outcome();
      if (server[node] && verb == v1::OperationSpec::kInstall) {
        timing.servers_down += static_cast<int64_t>(outcome.install().down_ms());
      } else if (!server[node] && PartOfChain(verb)) {
        const auto [place, is_new] = begun.emplace(node, chains.size());
        if (is_new) chains.push_back(0);
        chains[place->second] += event.unix_ms() - issued.at;
      }
    } else if (event.has_ended()) {
      timing.wall = event.unix_ms() - created;
    }
  }
  timing.servers_settle =
      static_cast<int64_t>(plan.policies().servers().settle_seconds()) * 1000 *
      std::count_if(server.begin(), server.end(), [](const auto& node) { return node.second; });
  timing.worker_slots = Slots(plan, chains.size());
  for (const int64_t chain : chains) timing.longest_chain = std::max(timing.longest_chain, chain);
  timing.workers_chains = PackAfterCanaries(chains, plan.policies().workers().canary(), timing.worker_slots);
  return timing;
}

}  // namespace k3saga::bench
