#include "tests/simulation/scenario.h"

#include <absl/strings/str_cat.h>

namespace k3saga::simulation {
namespace {

constexpr int64_t kLongestFaults = 300'000;

v1::Policies DrawPolicies(int workers, Random& random) {
  v1::Policies policies;
  v1::ServerPolicy& servers = *policies.mutable_servers();
  servers.set_health_timeout_seconds(60);
  servers.set_settle_seconds(static_cast<uint32_t>(random.Between(2, 15)));
  servers.set_gate_timeout_seconds(240);
  servers.set_cordon(random.Chance(200));
  servers.mutable_drain()->set_enabled(servers.cordon() && random.Chance(500));
  servers.mutable_drain()->set_timeout_seconds(30);
  servers.set_on_failure(random.Chance(150) ? v1::ON_FAILURE_STOP : v1::ON_FAILURE_PUT_BACK);

  v1::WorkerPolicy& policy = *policies.mutable_workers();
  policy.set_health_timeout_seconds(60);
  policy.mutable_max_unavailable()->set_value(static_cast<uint32_t>(random.Between(1, 1 + workers / 3)));
  policy.set_canary(random.Chance(500) ? static_cast<uint32_t>(random.Between(1, 2)) : 0);
  policy.mutable_failure_budget()->set_value(random.Below(3));
  policy.set_cordon(!random.Chance(150));
  policy.mutable_drain()->set_enabled(policy.cordon() && !random.Chance(200));
  policy.mutable_drain()->set_timeout_seconds(30);
  policy.set_on_failure(static_cast<v1::OnFailure>(random.Below(3)));

  if (random.Chance(300)) policies.mutable_gate()->add_command("/bin/true");
  policies.mutable_backup()->set_enabled(!random.Chance(50));
  return policies;
}

void AddNode(Scenario& scenario, bool server, Random& random) {
  v1::Plan& plan = *scenario.created.mutable_plan();
  const auto number = scenario.nodes.size() + 1;
  Scenario::Node node;
  node.server = server;
  node.cordoned = random.Chance(60);
  node.at_target = false;
  node.away = !server && random.Chance(40);
  node.pods = static_cast<uint8_t>(server ? 0 : random.Below(3));

  v1::PlannedNode& planned = *plan.add_nodes();
  planned.set_name(absl::StrCat(server ? "s" : "w", number));
  planned.set_role(server ? v1::ROLE_SERVER : v1::ROLE_WORKER);
  planned.set_from_version(kOldVersion);
  planned.set_was_cordoned(node.cordoned);
  planned.set_was_available(!node.away);
  planned.set_runs_apiserver(server);
  planned.set_runs_kubelet(true);
  planned.set_journal_id("1");
  if (server && scenario.etcd()) {
    planned.set_member_id(number);
    plan.add_members()->set_id(number);
  }
  scenario.nodes.push_back(node);
}

// A third of all histories has no fault at all, a third the network's and the processes', a third everything.
void DrawFaults(Scenario& scenario, Random& random) {
  const uint32_t kind = random.Below(3);
  if (kind == 0) return;
  Faults& faults = scenario.faults;
  faults.until = random.Between(kLongestFaults / 10, kLongestFaults);
  const auto rate = [&](Fault fault, uint32_t chance, uint16_t most) {
    if (random.Chance(chance))
      faults.rates[static_cast<size_t>(fault)] = static_cast<uint16_t>(random.Between(1, most));
  };
  rate(Fault::kMessageLost, 500, 150);
  rate(Fault::kMessageDoubled, 500, 150);
  rate(Fault::kMessageDelayed, 500, 150);
  rate(Fault::kCutOff, 300, 3);
  rate(Fault::kCoordinatorKilled, 300, 6);
  rate(Fault::kKilledBeforeCommit, 300, 30);
  rate(Fault::kKilledAfterCommit, 300, 30);
  rate(Fault::kAgentKilled, 400, 20);
  rate(Fault::kKilledAfterEffect, 400, 60);
  rate(Fault::kOperationKilled, 300, 40);
  if (kind == 1) return;
  rate(Fault::kNodeRebooted, 200, 6);
  rate(Fault::kEffectHangs, 200, 10);
  rate(Fault::kEffectFails, 300, 20);
  rate(Fault::kStageFails, 200, 150);
  rate(Fault::kServerCrashes, 200, 10);
  rate(Fault::kMemberAlarm, 300, 30);
  rate(Fault::kUserPauses, 300, 10);
  rate(Fault::kUserAborts, 100, 4);
  rate(Fault::kUserCordons, 200, 20);
  rate(Fault::kGateClosed, 300, 30);
  rate(Fault::kTakeover, 200, 6);
  rate(Fault::kTakeoverOfLiving, 100, 6);
  rate(Fault::kCoordinatorLost, 200, 6);
  rate(Fault::kJournalLost, 100, 30);
  rate(Fault::kJournalPruned, 200, 300);
  rate(Fault::kClockJumps, 200, 50);
  rate(Fault::kStaleHealth, 200, 300);
  for (Scenario::Node& node : scenario.nodes) {
    node.bad_release = random.Chance(25);
    node.stuck_drain = random.Chance(15);
    node.bad_installer = random.Chance(15);
  }
  scenario.crashes_while_mixed = random.Chance(150);
}

// One server may keep its cluster in SQLite, several in a database elsewhere, which is backed up elsewhere.
void DrawDatastore(int servers, Random& random, v1::Plan& plan) {
  plan.set_datastore(v1::DATASTORE_EMBEDDED_ETCD);
  if (servers == 1 && random.Chance(300)) plan.set_datastore(v1::DATASTORE_SQLITE);
  if ((servers == 2 || servers == 3) && random.Chance(60)) plan.set_datastore(v1::DATASTORE_EXTERNAL);
  const bool etcd = plan.datastore() == v1::DATASTORE_EMBEDDED_ETCD;
  plan.set_consent_outage(servers == 1 || (etcd && servers == 2));
}

// Every fifth history undoes an upgrade, half of them with the datastore. Drawn apart, so that upgrades stay
// what they were.
void DrawWay(Scenario& scenario, uint64_t seed) {
  Random random(seed ^ 0x77617962616b21ull);
  v1::Plan& plan = *scenario.created.mutable_plan();
  plan.set_consent_data_loss(random.Chance(500));
  if (!random.Chance(200)) return;
  plan.set_kind(random.Chance(700) ? v1::Plan::ROLLBACK : v1::Plan::RESTORE);
  plan.set_undoes("r0");
  plan.set_from_version(kNewVersion);
  plan.set_to_version(kOldVersion);
  uint32_t touched = 0;
  for (int i = 0; i < plan.nodes_size(); ++i) {
    v1::PlannedNode& node = *plan.mutable_nodes(i);
    const bool stayed = scenario.nodes[static_cast<size_t>(i)].at_target;  // the upgrade had not come so far
    node.set_from_version(stayed ? kOldVersion : kNewVersion);
    node.set_to_version(kOldVersion);
    if (!stayed) node.set_moved_as(++touched);
    scenario.nodes[static_cast<size_t>(i)].bad_release = false;  // it ran
  }
  if (plan.kind() == v1::Plan::ROLLBACK && random.Chance(500)) return;
  int servers = 0;
  while (servers < plan.nodes_size() && plan.nodes(servers).role() == v1::ROLE_SERVER) ++servers;
  plan.mutable_restore_from()->set_id("b");
  plan.set_restore_on(plan.nodes(static_cast<int>(random.Below(static_cast<uint32_t>(servers)))).name());
  plan.set_consent_data_loss(true);
}

int DrawServers(Random& random) {
  static constexpr int kSizes[] = {3, 3, 3, 3, 3, 5, 2, 1};
  return kSizes[random.Below(8)];
}

}  // namespace

Scenario DrawScenario(uint64_t seed, int servers, int workers) {
  Random random(seed ^ 0x6b337361676121ull);
  Scenario scenario;
  scenario.seed = seed;
  if (servers == 0) {
    servers = DrawServers(random);
    workers = static_cast<int>(random.Below(11));
  }
  v1::RolloutCreated& created = scenario.created;
  created.set_rollout("r");
  created.set_holder("a");
  created.set_epoch(1);
  v1::Plan& plan = *created.mutable_plan();
  plan.set_from_version(kOldVersion);
  plan.set_to_version(kNewVersion);
  plan.mutable_release()->set_version(kNewVersion);
  plan.set_minor_step(random.Chance(500));
  DrawDatastore(servers, random, plan);
  for (int i = 0; i < servers; ++i) AddNode(scenario, true, random);
  for (int i = 0; i < workers; ++i) AddNode(scenario, false, random);
  if (random.Chance(300)) {
    plan.add_remedies()->set_trouble("renamed-role");
    plan.mutable_remedies(0)->add_manifests("{}");
  }
  if (servers > 1 && random.Chance(100)) {  // what an earlier rollout left behind
    scenario.nodes[0].at_target = true;
    plan.mutable_nodes(0)->set_at_target(true);
  }
  *plan.mutable_policies() = DrawPolicies(workers, random);
  if (plan.datastore() == v1::DATASTORE_EXTERNAL)
    plan.mutable_policies()->mutable_backup()->set_enabled(false);
  DrawFaults(scenario, random);
  DrawWay(scenario, seed);
  return scenario;
}

}  // namespace k3saga::simulation
