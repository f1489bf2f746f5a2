#include "tests/simulation/world.h"

#include <algorithm>
#include <iostream>

namespace k3saga::simulation {
namespace {

constexpr int64_t kTickMs = 1000;
constexpr int64_t kPatienceMs = 3 * 3'600'000;  // once faults have ceased
// Of a history that goes in circles; a fleet in which everybody waits out a deadline of half an hour has
// many.
constexpr uint64_t kMostEvents = 100'000;
constexpr uint64_t kMostEventsANode = 5'000;
constexpr size_t kMostCoordinators = 4;

// FNV-1a over the journal's bytes.
uint64_t DigestOf(const Journal& journal) {
  uint64_t digest = 0xcbf29ce484222325ull;
  for (const v1::Event& event : journal) {
    for (const char byte : event.SerializeAsString()) {
      digest = (digest ^ static_cast<unsigned char>(byte)) * 0x100000001b3ull;
    }
  }
  return digest;
}

}  // namespace

World::World(Scenario drawn, const Mutation& faulty, bool tells)
    : scenario(std::move(drawn)),
      mutation(faulty),
      random(scenario.seed),
      cluster(scenario, schedule, random, scenario.faults),
      network(*this),
      checker(*this),
      tells_(tells) {
  for (int i = 0; i < scenario.created.plan().nodes_size(); ++i) {
    agents.push_back(std::make_unique<Agent>(*this, i));
  }
  coordinators.push_back(std::make_unique<Coordinator>(*this, "a", Journal()));
}

void World::Print(const std::string& line) { std::cout << schedule.now() << " " << line << "\n"; }

Verdict World::Run() {
  current().Begin(scenario.created);
  if (scenario.faults.until > 0) schedule.After(kTickMs, [this] { HurtNodes(); });
  uint64_t events = 0;
  const uint64_t most_events = std::max(kMostEvents, kMostEventsANode * agents.size());
  while (!checker.violated() && !over_ && !current().state().ended()) {
    if (schedule.empty()) {
      checker.Violate("the rollout came to rest before its end");
      break;
    }
    schedule.Step();
    ++events;
    const bool too_long = schedule.now() > scenario.faults.until + kPatienceMs || events > most_events;
    if (too_long) checker.Violate("the rollout does not end although faults have ceased");
  }
  Verdict verdict;
  verdict.violation = checker.violation();
  verdict.events = events;
  verdict.at_ms = schedule.now();
  verdict.journaled = current().journal().size();
  if (digests) verdict.digest = DigestOf(current().journal());
  verdict.result = current().state().result;
  return verdict;
}

// Once a second, while there are faults: processes die, machines reboot, the user does something.
void World::HurtNodes() {
  if (schedule.now() >= scenario.faults.until) {
    if (current().state().paused) current().Command(v1::CommandReceived::RESUME);
    return schedule.After(kTickMs, [this] { HurtNodes(); });
  }
  if (Draw(Fault::kClockJumps)) wall_offset_ += random.Between(-10'000'000, 10'000'000);
  if (Draw(Fault::kCoordinatorKilled)) current().Kill(random.Between(500, 30'000));
  for (size_t i = 0; i < agents.size(); ++i) {
    const int node = static_cast<int>(i);
    if (Draw(Fault::kAgentKilled)) {
      agents[i]->Kill(random.Between(500, 15'000));
      if (Draw(Fault::kJournalLost)) {
        agents[i]->LoseJournal();
        checker.OnJournalLost(node);
      }
    }
    if (Draw(Fault::kNodeRebooted)) {
      cluster.Reboot(node);
      agents[i]->KillOperations();
      agents[i]->Kill(random.Between(20'000, 45'000));
    }
    if (Draw(Fault::kCutOff)) network.CutOff(node, schedule.now() + random.Between(5000, 400'000));
    if (!cluster.machines[i].unschedulable && Draw(Fault::kUserCordons)) {
      cluster.machines[i].unschedulable = cluster.machines[i].fate.cordoned = true;
    }
    if (cluster.machines[i].server && cluster.machines[i].touched_by == 0 && Draw(Fault::kServerCrashes)) {
      cluster.Crash(node);
    }
    if (cluster.etcd() && cluster.machines[i].server && !cluster.machines[i].alarm &&
        Draw(Fault::kMemberAlarm)) {
      cluster.RaiseAlarm(node, random.Between(5000, 60'000));
    }
  }
  const bool gate = scenario.created.plan().policies().gate().command_size() != 0;
  if (gate && !GateClosed() && Draw(Fault::kGateClosed)) {
    gate_closed_since = schedule.now();
    gate_closed_until = schedule.now() + random.Between(2000, 90'000);
  }
  UserActs();
  schedule.After(kTickMs, [this] { HurtNodes(); });
}

void World::UserActs() {
  if (!current().up()) return;
  if (current().state().paused) {
    if (random.Chance(80)) current().Command(v1::CommandReceived::RESUME);
  } else if (Draw(Fault::kUserPauses)) {
    current().Command(v1::CommandReceived::PAUSE);
  }
  if (!current().state().aborting && Draw(Fault::kUserAborts)) current().Command(v1::CommandReceived::ABORT);
  if (MayBeAdopted() && Draw(Fault::kTakeover)) return TakeOver(/*living=*/false);
  if (MayBeAdopted() && Draw(Fault::kTakeoverOfLiving)) return TakeOver(/*living=*/true);
  if (MayBeAdopted() && Draw(Fault::kCoordinatorLost)) LoseCoordinator();
}

// Every server's agent keeps it, and it was not taken over too often already.
bool World::MayBeAdopted() {
  if (coordinators.size() >= kMostCoordinators || !current().state().created()) return false;
  // Where a datastore stands in the middle of its way back, the agents' words do not tell: those are only
  // ended.
  const v1::Plan& plan = scenario.created.plan();
  if (scenario.way_back() ? plan.has_restore_from() : plan.consent_data_loss()) return false;
  return std::all_of(agents.begin(), agents.begin() + cluster.servers,
                     [](const auto& agent) { return agent->fence().hold == operations::Fence::Hold::kHeld; });
}

// Another machine, without a journal, takes over. The first one is a laptop that was closed and is opened
// again later, or runs on and does not know.
void World::TakeOver(bool living) {
  checker.OnTakeover();
  Coordinator& first = current();
  if (!living) {
    first.Freeze();
    schedule.After(random.Between(1000, 120'000), [&first] { first.Thaw(); });
  }
  coordinators.push_back(std::make_unique<Coordinator>(*this, NextHolder(), Journal()));
  current().Adopt();
}

void World::LoseCoordinator() {
  checker.OnTakeover();  // what it sent is on its way
  current().Bury();
  coordinators.push_back(std::make_unique<Coordinator>(*this, NextHolder(), Journal()));
  Coordinator& next = current();
  schedule.After(random.Between(1000, 60'000), [&next] { next.Adopt(); });
}

}  // namespace k3saga::simulation
