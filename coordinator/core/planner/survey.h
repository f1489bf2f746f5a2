#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/version.h"
#include "coordinator/core/planner.h"

// What the checks look at: the file's nodes beside what their agents said.
namespace k3saga::core {

struct Surveyed {
  const PlanRequest::Node* wanted = nullptr;
  const v1::NodeFacts* facts = nullptr;  // null: its agent did not answer
  v1::Reason unreachable;                // why
  // What runs or, where nothing runs, what would be started; nullopt when neither could be read.
  std::optional<Version> version;

  const std::string& name() const { return wanted->name; }
  bool server() const { return wanted->role == v1::ROLE_SERVER; }
  bool reached() const { return facts != nullptr; }
  bool running() const { return reached() && !facts->k3s().running_version().empty(); }
  // Serves etcd right now.
  bool etcd_works() const {
    return reached() && facts->etcd().member_id() != 0 && facts->etcd().error().empty();
  }
};

struct Survey {
  const PlanRequest* request = nullptr;
  std::optional<Version> target;
  std::vector<Surveyed> nodes;          // servers first, each in the order of the file
  const v1::NodeFacts* api = nullptr;   // a server whose Kubernetes API answered
  const v1::EtcdFacts* etcd = nullptr;  // of a server whose member works
  v1::Datastore datastore = v1::DATASTORE_UNSPECIFIED;
};

Survey MakeSurvey(const PlanRequest& request, const std::vector<v1::NodeFacts>& facts);

// The Node object as `api` shows it; null when there is none.
const v1::KubeNode* NodeObjectOf(const Survey& survey, std::string_view name);

// k3s calls its members NODE-HASH.
bool NamedAfter(const v1::EtcdMember& member, const std::string& server);
// The etcd member that this server runs, also while it is down; null when the list has none of it.
const v1::EtcdMember* MemberOf(const Survey& survey, const Surveyed& server);

bool AtTarget(const Survey& survey, const Surveyed& node);

// One or two voting members, or a single API: some of it is lost while a server restarts.
bool LosesByDesign(const Survey& survey);

// What a check found. Refusals stop the plan; notices are shown before the user says yes.
struct Findings {
  std::vector<v1::Reason> refusals;
  std::vector<v1::Reason> notices;

  void Refuse(v1::ReasonCode code, std::string_view subject, std::string_view detail,
              std::string_view remedy);
  void Notice(v1::ReasonCode code, std::string_view subject, std::string_view detail,
              std::string_view remedy = "");
};

// The plan's head and nodes as the survey shows them; way forward, no notices yet.
v1::Plan BasePlan(const Survey& survey);

using Check = void (*)(const Survey&, Findings&);

// agent_checks.cc: agents too old for this k3saga.
void CheckProtocols(const Survey& survey, Findings& findings);
// node_checks.cc: each node by itself.
void CheckReached(const Survey& survey, Findings& findings);
void CheckDistribution(const Survey& survey, Findings& findings);
void CheckLayout(const Survey& survey, Findings& findings);
void CheckDisk(const Survey& survey, Findings& findings);
void CheckHealth(const Survey& survey, Findings& findings);
// version_checks.cc
void CheckVersions(const Survey& survey, Findings& findings);
void CheckRelease(const Survey& survey, Findings& findings);
// config_file_checks.cc
void CheckConfigFiles(const Survey& survey, Findings& findings);
// known_trouble.cc
void CheckKnownTrouble(const Survey& survey, Findings& findings);
// hazard_checks.cc: what may break after the upgrade.
void CheckDeprecatedApis(const Survey& survey, Findings& findings);
void CheckComponents(const Survey& survey, Findings& findings);
// cluster_checks.cc: the nodes together.
void CheckSameCluster(const Survey& survey, Findings& findings);
void CheckNodeObjects(const Survey& survey, Findings& findings);
void CheckMembers(const Survey& survey, Findings& findings);
void CheckHeld(const Survey& survey, Findings& findings);
void CheckConsent(const Survey& survey, Findings& findings);
void CheckBackup(const Survey& survey, Findings& findings);
void CheckFlags(const Survey& survey, Findings& findings);
void CheckObstacles(const Survey& survey, Findings& findings);

}  // namespace k3saga::core
