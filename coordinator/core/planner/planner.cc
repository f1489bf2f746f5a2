#include "coordinator/core/planner.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "coordinator/core/planner/agent_checks.h"
#include "coordinator/core/planner/survey.h"

namespace k3saga::core {
namespace {

// All of them are asked; a check says nothing about what an earlier one found to be unreadable.
constexpr Check kChecks[] = {
    CheckReached,      CheckProtocols,      CheckDistribution, CheckLayout,      CheckVersions,
    CheckKnownTrouble, CheckSameCluster,    CheckNodeObjects,  CheckMembers,     CheckHeld,
    CheckConsent,      CheckBackup,         CheckDisk,         CheckFlags,       CheckHealth,
    CheckObstacles,    CheckDeprecatedApis, CheckComponents,   CheckConfigFiles, CheckRelease,
};

// Where a peer of this server joins: its address in the cluster or, when that is not known now, its agent's.
std::string ApiUrl(const Surveyed& server, const v1::KubeNode* object) {
  std::string port = "6443";
  for (const v1::Setting& setting : server.facts->k3s().settings()) {
    if (absl::StripPrefix(setting.key(), "--") == "https-listen-port") port = setting.value();
  }
  if (object != nullptr && object->addresses_size() != 0) {
    const std::string& address = object->addresses(0);
    const bool ipv6 = absl::StrContains(address, ':');
    return absl::StrCat("https://", ipv6 ? "[" : "", address, ipv6 ? "]:" : ":", port);
  }
  // "ipv4:10.0.0.11:7440", "ipv6:[fd00::1]:7440"
  const std::string& agent = server.wanted->address;
  const size_t scheme = agent.find(':');
  const size_t last = agent.rfind(':');
  if (scheme == std::string::npos || last <= scheme) return "";
  return absl::StrCat("https://", agent.substr(scheme + 1, last - scheme - 1), ":", port);
}

v1::PlannedNode PlanNode(const Survey& survey, const Surveyed& node) {
  v1::PlannedNode planned;
  planned.set_name(node.name());
  planned.set_role(node.wanted->role);
  planned.set_agent_address(node.wanted->address);
  if (!node.reached()) return planned;
  const v1::K3sFacts& k3s = node.facts->k3s();
  if (node.version) planned.set_from_version(node.version->ToString());
  planned.set_runs_apiserver(node.server() && k3s.runs_apiserver());
  planned.set_runs_kubelet(!node.server() || k3s.runs_kubelet());
  planned.set_journal_id(node.facts->journal_id());
  planned.set_architecture(node.facts->architecture());
  planned.set_at_target(AtTarget(survey, node));
  const v1::KubeNode* object = NodeObjectOf(survey, node.name());
  if (object != nullptr) {
    planned.set_was_cordoned(object->unschedulable() && object->cordoned_by().empty());
    planned.set_left_cordoned(object->unschedulable() && !object->cordoned_by().empty());
  }
  const bool ready = object != nullptr ? object->ready() : !planned.runs_kubelet();
  planned.set_was_available(node.running() && ready);
  if (node.server()) planned.set_api_url(ApiUrl(node, object));
  planned.set_runs_etcd(node.server() && k3s.runs_etcd());
  if (planned.runs_etcd()) {
    if (const v1::EtcdMember* member = MemberOf(survey, node)) planned.set_member_id(member->id());
  }
  return planned;
}

std::optional<Version> Oldest(const Survey& survey) {
  std::optional<Version> oldest;
  for (const Surveyed& node : survey.nodes) {
    if (node.version && (!oldest || *node.version < *oldest)) oldest = node.version;
  }
  return oldest;
}

}  // namespace

v1::Plan BasePlan(const Survey& survey) {
  const PlanRequest& request = *survey.request;
  v1::Plan plan;
  plan.set_cluster(request.cluster);
  for (const Surveyed& node : survey.nodes) {
    if (plan.cluster_id().empty() && node.reached()) plan.set_cluster_id(node.facts->k3s().cluster_id());
    *plan.add_nodes() = PlanNode(survey, node);
  }
  plan.set_to_version(request.release.version());
  if (const std::optional<Version> oldest = Oldest(survey)) {
    plan.set_from_version(oldest->ToString());
    plan.set_minor_step(survey.target && !oldest->SameMinor(*survey.target));
  }
  *plan.mutable_policies() = request.policies;
  *plan.mutable_release() = request.release;
  plan.set_datastore(survey.datastore);
  if (survey.etcd != nullptr) *plan.mutable_members() = survey.etcd->members();
  plan.set_consent_outage(request.consent_outage && LosesByDesign(survey));
  for (const TroubleAhead& trouble : FindTrouble(request.known_trouble, survey)) {
    if (trouble.entry->effect == KnownTrouble::Effect::kRemedy) *plan.add_remedies() = trouble.entry->remedy;
  }
  plan.set_consent_data_loss(request.consent_data_loss || request.policies.backup().restore_on_failure());
  return plan;
}

namespace {

bool NothingToDo(const v1::Plan& plan) {
  return std::all_of(plan.nodes().begin(), plan.nodes().end(),
                     [](const v1::PlannedNode& node) { return node.at_target() && !node.left_cordoned(); });
}

PlanOutcome Judge(const Survey& survey, PlanOutcome outcome) {
  Findings findings;
  if (survey.nodes.empty() || !survey.nodes.front().server()) {
    findings.Refuse(v1::NODE_LAYOUT_UNSUPPORTED, survey.request->cluster, "cluster.yaml names no server",
                    "add the servers");
  } else {
    for (const Check check : kChecks) check(survey, findings);
    CheckVerbs(survey, outcome.plan, findings);
  }
  outcome.refusals = std::move(findings.refusals);
  for (v1::Reason& notice : findings.notices) *outcome.plan.add_notices() = std::move(notice);
  outcome.kind = outcome.refusals.empty() ? PlanOutcome::Kind::kPlan : PlanOutcome::Kind::kRefused;
  return outcome;
}

}  // namespace

PlanOutcome MakePlan(const PlanRequest& request, const std::vector<v1::NodeFacts>& facts) {
  const Survey survey = MakeSurvey(request, facts);
  PlanOutcome outcome;
  outcome.plan = BasePlan(survey);
  const bool servers = !survey.nodes.empty() && survey.nodes.front().server();
  if (servers && NothingToDo(outcome.plan)) {
    outcome.kind = PlanOutcome::Kind::kNothingToDo;
    return outcome;
  }
  return Judge(survey, std::move(outcome));
}

PlanOutcome Examine(const PlanRequest& request, const std::vector<v1::NodeFacts>& facts) {
  const Survey survey = MakeSurvey(request, facts);
  PlanOutcome outcome;
  outcome.plan = BasePlan(survey);
  const bool nothing = NothingToDo(outcome.plan);
  if (nothing) {
    // As if it were still to come: the next upgrade's question.
    for (v1::PlannedNode& node : *outcome.plan.mutable_nodes()) node.set_at_target(false);
  }
  outcome = Judge(survey, std::move(outcome));
  if (nothing) {
    for (v1::PlannedNode& node : *outcome.plan.mutable_nodes()) node.set_at_target(true);
    if (outcome.kind == PlanOutcome::Kind::kPlan) outcome.kind = PlanOutcome::Kind::kNothingToDo;
  }
  return outcome;
}

}  // namespace k3saga::core
