#include "coordinator/plans/plans.h"

#include <absl/strings/str_cat.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "common/status_macros.h"
#include "common/version.h"
#include "coordinator/plans/label_selector.h"

namespace k3saga::plans {
namespace {

constexpr char kApiVersion[] = "upgrade.cattle.io/v1";
constexpr char kNamespace[] = "system-upgrade";
constexpr char kServiceAccount[] = "system-upgrade";
constexpr char kImage[] = "rancher/k3s-upgrade";
constexpr char kServerPlan[] = "k3s-server";
constexpr char kAgentPlan[] = "k3s-agent";
constexpr char kControlPlaneLabel[] = "node-role.kubernetes.io/control-plane";

// Exactly one of the two is set.
struct Target {
  std::string version;
  std::string channel;
};

absl::StatusOr<Target> ChooseTarget(const config::ClusterFile& file, std::string_view version) {
  if (!version.empty()) {
    K3SAGA_ASSIGN_OR_RETURN(Version parsed, Version::Parse(version));
    return Target{parsed.ToString(), ""};
  }
  const config::SystemUpgradeController& controller = file.system_upgrade_controller;
  if (controller.version.empty() && controller.channel.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path,
                     ": no version; give --to VERSION, or set version or channel under "
                     "system_upgrade_controller"));
  }
  return Target{controller.version, controller.channel};
}

uint32_t NodesOf(const config::ClusterFile& file, v1::Role role) {
  return static_cast<uint32_t>(
      std::count_if(file.nodes.begin(), file.nodes.end(),
                    [role](const config::ClusterNode& node) { return node.role == role; }));
}

// Percentages are rounded down, but to at least one, as the saga does.
uint32_t Concurrency(const v1::Limit& limit, uint32_t workers) {
  if (!limit.percent()) return limit.value();
  return std::max<uint32_t>(1, static_cast<uint32_t>(uint64_t{workers} * limit.value() / 100));
}

void EmitRequirement(YAML::Emitter& out, const Requirement& requirement) {
  out << YAML::BeginMap << YAML::Key << "key" << YAML::Value << requirement.key;
  out << YAML::Key << "operator" << YAML::Value << requirement.op;
  if (!requirement.values.empty()) {
    out << YAML::Key << "values" << YAML::Value << YAML::Flow << YAML::BeginSeq;
    // Quoted: an unquoted true would be a boolean, and Kubernetes wants texts.
    for (const std::string& value : requirement.values) out << YAML::DoubleQuoted << value;
    out << YAML::EndSeq;
  }
  out << YAML::EndMap;
}

void EmitSelector(YAML::Emitter& out, const std::vector<Requirement>& requirements) {
  out << YAML::BeginMap << YAML::Key << "matchExpressions" << YAML::Value << YAML::BeginSeq;
  for (const Requirement& requirement : requirements) EmitRequirement(out, requirement);
  out << YAML::EndSeq << YAML::EndMap;
}

absl::Status EmitDrain(YAML::Emitter& out, const v1::DrainPolicy& drain) {
  if (!drain.enabled()) return absl::OkStatus();
  K3SAGA_ASSIGN_OR_RETURN(std::vector<Requirement> pods, ParseLabelSelector(drain.pod_selector()));
  out << YAML::Key << "drain" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "timeout" << YAML::Value << absl::StrCat(drain.timeout_seconds(), "s");
  if (drain.grace_period_seconds() >= 0) {
    out << YAML::Key << "gracePeriod" << YAML::Value << drain.grace_period_seconds();
  }
  out << YAML::Key << "deleteEmptydirData" << YAML::Value << drain.delete_empty_dir_data();
  out << YAML::Key << "ignoreDaemonSets" << YAML::Value << true;
  out << YAML::Key << "force" << YAML::Value << drain.force_unmanaged();
  if (drain.on_timeout() == v1::DrainPolicy::FORCE)
    out << YAML::Key << "disableEviction" << YAML::Value << true;
  if (!pods.empty()) {
    out << YAML::Key << "podSelector" << YAML::Value;
    EmitSelector(out, pods);
  }
  out << YAML::EndMap;
  return absl::OkStatus();
}

struct PlanSpec {
  std::string name;
  uint32_t concurrency;
  Requirement nodes;
  bool waits_for_servers;  // an init container that returns once the server plan is done
  bool cordon;
  const v1::DrainPolicy& drain;
};

absl::Status EmitPlan(YAML::Emitter& out, const PlanSpec& plan, const Target& target) {
  out << YAML::BeginMap;
  out << YAML::Key << "apiVersion" << YAML::Value << kApiVersion;
  out << YAML::Key << "kind" << YAML::Value << "Plan";
  out << YAML::Key << "metadata" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "name" << YAML::Value << plan.name;
  out << YAML::Key << "namespace" << YAML::Value << kNamespace << YAML::EndMap;
  out << YAML::Key << "spec" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "concurrency" << YAML::Value << plan.concurrency;
  out << YAML::Key << "nodeSelector" << YAML::Value;
  EmitSelector(out, {plan.nodes});
  out << YAML::Key << "serviceAccountName" << YAML::Value << kServiceAccount;
  if (!target.version.empty()) {
    out << YAML::Key << "version" << YAML::Value << target.version;
  } else {
    out << YAML::Key << "channel" << YAML::Value << target.channel;
  }
  if (plan.waits_for_servers) {
    out << YAML::Key << "prepare" << YAML::Value << YAML::BeginMap;
    out << YAML::Key << "image" << YAML::Value << kImage;
    out << YAML::Key << "args" << YAML::Value << YAML::BeginSeq << "prepare" << kServerPlan << YAML::EndSeq;
    out << YAML::EndMap;
  }
  out << YAML::Key << "cordon" << YAML::Value << plan.cordon;
  K3SAGA_RETURN_IF_ERROR(EmitDrain(out, plan.drain));
  out << YAML::Key << "upgrade" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "image" << YAML::Value << kImage << YAML::EndMap;
  out << YAML::EndMap << YAML::EndMap;
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> WhatPlansCannotDo(const config::ClusterFile& file) {
  std::vector<std::string> lines = {
      "They wait for a job to end, not for health: no etcd quorum gate, no settle time between servers.",
      "They take no backup before the first change.",
      "They move no etcd leadership: whichever server is next is stopped, leading or not.",
      "They do not go back: a server that fails stays as it is.",
      "They check nothing beforehand: downgrades, skipped minors and budgets that never allow a drain are "
      "not refused.",
      "They keep no cordon that was there before: after its job the node is uncordoned.",
  };
  const v1::Policies& policies = file.policies;
  if (policies.workers().canary() > 0)
    lines.push_back("Canary workers have no counterpart; all workers are equal.");
  if (policies.workers().failure_budget().value() > 0) {
    lines.push_back("The failure budget has no counterpart; a failed job is tried again.");
  }
  if (!policies.gate().prometheus_url().empty() || policies.gate().command_size() > 0) {
    lines.push_back("The external gate is not asked.");
  }
  const auto proceeds = [](const v1::DrainPolicy& drain) {
    return drain.enabled() && drain.on_timeout() == v1::DrainPolicy::PROCEED;
  };
  if (proceeds(policies.servers().drain()) || proceeds(policies.workers().drain())) {
    lines.push_back("drain.on_timeout: proceed has no counterpart; a drain that times out fails its job.");
  }
  return lines;
}

absl::StatusOr<std::string> RenderPlans(const config::ClusterFile& file, std::string_view version) {
  if (file.distribution != "k3s" || !file.system_upgrade_controller.enabled) {
    return absl::FailedPreconditionError(absl::StrCat(
        file.path,
        ": Plans are written for distribution: k3s with system_upgrade_controller: {enabled: true} only"));
  }
  K3SAGA_ASSIGN_OR_RETURN(Target target, ChooseTarget(file, version));
  const v1::ServerPolicy& servers = file.policies.servers();
  const v1::WorkerPolicy& workers = file.policies.workers();

  YAML::Emitter out;
  out << YAML::BeginDoc;
  K3SAGA_RETURN_IF_ERROR(EmitPlan(
      out, {kServerPlan, 1, {kControlPlaneLabel, "In", {"true"}}, false, servers.cordon(), servers.drain()},
      target));
  out << YAML::BeginDoc;
  // Workers carry no control-plane label at all; `NotIn [true]` would match them too, but also a node whose
  // label says something else.
  K3SAGA_RETURN_IF_ERROR(EmitPlan(out,
                                  {kAgentPlan,
                                   Concurrency(workers.max_unavailable(), NodesOf(file, v1::ROLE_WORKER)),
                                   {kControlPlaneLabel, "DoesNotExist", {}},
                                   true,
                                   workers.cordon(),
                                   workers.drain()},
                                  target));
  if (!out.good()) return absl::InternalError(out.GetLastError());

  std::string text = absl::StrCat("# Plans for system-upgrade-controller, rendered by k3saga from ",
                                  file.path, ".\n# What they cannot do, and `k3saga upgrade` does:\n");
  for (const std::string& line : WhatPlansCannotDo(file)) absl::StrAppend(&text, "# - ", line, "\n");
  return absl::StrCat(text, out.c_str(), "\n");
}

}  // namespace k3saga::plans
