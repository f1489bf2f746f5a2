#include "tests/unit/core/plans.h"

#include <absl/strings/str_cat.h>

#include "common/reason.h"

namespace k3saga::core {
namespace {

v1::Outcome NotSucceeded(v1::Outcome::Code code, v1::ReasonCode reason, v1::Outcome::NodeState left) {
  v1::Outcome outcome;
  outcome.set_code(code);
  *outcome.mutable_reason() = MakeReason(reason, "", "as the test wants it");
  outcome.set_node_state(left);
  return outcome;
}

v1::Policies MakePolicies() {
  v1::Policies policies;
  v1::ServerPolicy& servers = *policies.mutable_servers();
  servers.set_health_timeout_seconds(120);
  servers.set_settle_seconds(15);
  servers.set_gate_timeout_seconds(300);
  servers.set_on_failure(v1::ON_FAILURE_PUT_BACK);
  v1::WorkerPolicy& workers = *policies.mutable_workers();
  workers.set_health_timeout_seconds(120);
  workers.mutable_max_unavailable()->set_value(2);
  workers.set_cordon(true);
  workers.mutable_drain()->set_enabled(true);
  workers.mutable_drain()->set_timeout_seconds(60);
  policies.mutable_backup()->set_enabled(true);
  policies.mutable_backup()->set_keep(3);
  return policies;
}

}  // namespace

v1::RolloutCreated MakeRollout(int servers, int workers) {
  v1::RolloutCreated created;
  created.set_rollout("20260131-142507-4f2a");
  created.set_holder("ada@desk:42");
  created.set_epoch(1);
  v1::Plan& plan = *created.mutable_plan();
  plan.set_cluster("home");
  plan.set_from_version(kFrom);
  plan.set_to_version(kTo);
  plan.mutable_release()->set_version(kTo);
  plan.set_datastore(v1::DATASTORE_EMBEDDED_ETCD);
  plan.set_minor_step(true);
  plan.set_consent_outage(servers <= 2);
  *plan.mutable_policies() = MakePolicies();
  for (int i = 1; i <= servers + workers; ++i) {
    const bool server = i <= servers;
    v1::PlannedNode& node = *plan.add_nodes();
    node.set_name(server ? absl::StrCat("s", i) : absl::StrCat("w", i - servers));
    node.set_role(server ? v1::ROLE_SERVER : v1::ROLE_WORKER);
    node.set_from_version(kFrom);
    node.set_was_available(true);
    node.set_runs_kubelet(true);
    node.set_runs_apiserver(server);
    if (!server) continue;
    node.set_member_id(static_cast<uint64_t>(i));
    v1::EtcdMember& member = *plan.add_members();
    member.set_id(static_cast<uint64_t>(i));
    member.set_name(node.name());
  }
  return created;
}

v1::RolloutCreated MakeRollback(int servers, int workers, bool datastore) {
  v1::RolloutCreated created = MakeRollout(servers, workers);
  v1::Plan& plan = *created.mutable_plan();
  plan.set_kind(v1::Plan::ROLLBACK);
  plan.set_undoes("20260130-101112-0001");
  plan.set_from_version(kTo);
  plan.set_to_version(kFrom);
  for (int i = 0; i < plan.nodes_size(); ++i) {
    v1::PlannedNode& node = *plan.mutable_nodes(i);
    node.set_from_version(kTo);
    node.set_to_version(kFrom);
    node.set_moved_as(static_cast<uint32_t>(i == 0 ? servers : i < servers ? i : i + 1));
    node.set_api_url(absl::StrCat("https://10.0.0.", i + 1, ":6443"));
  }
  if (!datastore) return created;
  plan.mutable_restore_from()->set_id("b1");
  plan.mutable_restore_from()->set_sha256("5a");
  plan.set_restore_on(servers > 1 ? "s2" : "s1");
  plan.set_consent_data_loss(true);
  return created;
}

v1::GateProved HealthyProof(const v1::Plan& plan) {
  v1::GateProved proved;
  for (const v1::PlannedNode& node : plan.nodes()) {
    if (node.role() != v1::ROLE_SERVER) continue;
    v1::ServerProof& proof = *proved.add_servers();
    proof.set_node(node.name());
    proof.set_reachable(true);
    proof.set_ready(true);
    proof.set_ready_for_ms(3'600'000);
    proof.set_main_pid(100 + static_cast<uint32_t>(node.member_id()));
    proof.set_main_start_ticks(5);
    proof.set_running_version(node.from_version());
    proof.set_etcd_serving(node.member_id() != 0);
    proof.set_member_id(node.member_id());
    proof.set_leader_id(1);
    proof.set_applied_index(1000);
    *proof.mutable_members() = plan.members();
    proof.set_etcd_cluster_version("3.5");
  }
  return proved;
}

v1::Outcome Succeeded(const v1::OperationIssued& issued) {
  v1::Outcome outcome;
  outcome.set_code(v1::Outcome::SUCCEEDED);
  switch (issued.spec().verb_case()) {
    case v1::OperationSpec::kInstall:
      outcome.set_node_state(v1::Outcome::CHANGED);
      outcome.mutable_install()->set_running_version(issued.spec().install().version());
      break;
    case v1::OperationSpec::kPutBack:
      outcome.set_node_state(v1::Outcome::PUT_BACK);
      break;
    case v1::OperationSpec::kBackup:
      outcome.mutable_backup()->set_id(issued.spec().backup().name());
      break;
    default:
      break;
  }
  return outcome;
}

v1::Outcome Failed(v1::ReasonCode code, v1::Outcome::NodeState left) {
  return NotSucceeded(v1::Outcome::FAILED, code, left);
}
v1::Outcome Refused(v1::ReasonCode code) {
  return NotSucceeded(v1::Outcome::REFUSED, code, v1::Outcome::UNTOUCHED);
}
v1::Outcome Unknown() { return NotSucceeded(v1::Outcome::UNKNOWN, v1::TIMED_OUT, v1::Outcome::UNTOUCHED); }

}  // namespace k3saga::core
