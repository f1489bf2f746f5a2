#include "coordinator/core/planner/survey.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <unordered_map>

#include "common/reason.h"

namespace k3saga::core {
namespace {

bool SaysUnreachable(const v1::NodeFacts& facts, v1::Reason& why) {
  for (const v1::Reason& problem : facts.problems()) {
    if (problem.code() != v1::NODE_UNREACHABLE) continue;
    why = problem;
    return true;
  }
  return false;
}

std::optional<Version> VersionOf(const v1::K3sFacts& k3s) {
  const std::string& text = k3s.running_version().empty() ? k3s.binary_version() : k3s.running_version();
  const absl::StatusOr<Version> version = Version::Parse(text);
  if (!version.ok()) return std::nullopt;
  return *version;
}

void FindWitnesses(Survey& survey) {
  for (const Surveyed& node : survey.nodes) {
    if (!node.server() || !node.reached()) continue;
    if (survey.api == nullptr && node.facts->nodes_size() != 0) survey.api = node.facts;
    if (survey.etcd == nullptr && node.etcd_works()) survey.etcd = &node.facts->etcd();
    if (survey.datastore == v1::DATASTORE_UNSPECIFIED) survey.datastore = node.facts->k3s().datastore();
  }
}

}  // namespace

Survey MakeSurvey(const PlanRequest& request, const std::vector<v1::NodeFacts>& facts) {
  std::unordered_map<std::string, const v1::NodeFacts*> by_name;
  for (const v1::NodeFacts& each : facts) by_name.emplace(each.name(), &each);

  Survey survey;
  survey.request = &request;
  const absl::StatusOr<Version> target = Version::Parse(request.release.version());
  if (target.ok()) survey.target = *target;
  for (const v1::Role role : {v1::ROLE_SERVER, v1::ROLE_WORKER}) {
    for (const PlanRequest::Node& wanted : request.nodes) {
      if (wanted.role != role) continue;
      Surveyed node;
      node.wanted = &wanted;
      const auto found = by_name.find(wanted.name);
      if (found != by_name.end() && !SaysUnreachable(*found->second, node.unreachable)) {
        node.facts = found->second;
        node.version = VersionOf(node.facts->k3s());
      }
      survey.nodes.push_back(std::move(node));
    }
  }
  FindWitnesses(survey);
  return survey;
}

const v1::KubeNode* NodeObjectOf(const Survey& survey, std::string_view name) {
  if (survey.api == nullptr) return nullptr;
  for (const v1::KubeNode& node : survey.api->nodes()) {
    if (node.name() == name) return &node;
  }
  return nullptr;
}

bool NamedAfter(const v1::EtcdMember& member, const std::string& server) {
  return absl::StartsWith(member.name(), server + "-") || member.name() == server;
}

const v1::EtcdMember* MemberOf(const Survey& survey, const Surveyed& server) {
  if (survey.etcd == nullptr || !server.reached()) return nullptr;
  for (const v1::EtcdMember& member : survey.etcd->members()) {
    const uint64_t told = server.facts->etcd().member_id();
    // One that does not answer is known by its name.
    if (told != 0 ? member.id() == told : NamedAfter(member, server.name())) return &member;
  }
  return nullptr;
}

bool AtTarget(const Survey& survey, const Surveyed& node) {
  if (!node.running() || !node.version || node.version != survey.target) return false;
  const v1::K3sFacts& k3s = node.facts->k3s();
  // What runs is believed, but a restart must not bring back another version.
  return k3s.binary_version().empty() || k3s.binary_version() == k3s.running_version();
}

bool LosesByDesign(const Survey& survey) {
  const auto servers = std::count_if(survey.nodes.begin(), survey.nodes.end(),
                                     [](const Surveyed& node) { return node.server(); });
  return servers == 1 || (survey.etcd != nullptr && survey.etcd->members_size() <= 2);
}

void Findings::Refuse(v1::ReasonCode code, std::string_view subject, std::string_view detail,
                      std::string_view remedy) {
  refusals.push_back(MakeReason(code, subject, detail, remedy));
}

void Findings::Notice(v1::ReasonCode code, std::string_view subject, std::string_view detail,
                      std::string_view remedy) {
  notices.push_back(MakeReason(code, subject, detail, remedy));
}

}  // namespace k3saga::core
