#include "coordinator/cli/session.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "common/host/files.h"
#include "common/reason.h"
#include "common/status_macros.h"
#include "common/tls/credentials.h"
#include "coordinator/config/known_trouble.h"
#include "coordinator/fleet/rounds.h"

namespace k3saga::cli {
namespace {

constexpr std::chrono::seconds kFactsTimeout{10};

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::Status CheckSelf(const config::ClusterFile& file, const tls::Identity& identity) {
  if (identity.self.role != tls::PeerRole::kCoordinator) {
    return absl::InvalidArgumentError(absl::StrCat(file.identity.certificate, ": is the certificate of ",
                                                   tls::Describe(identity.self),
                                                   "; expected a coordinator's"));
  }
  if (identity.self.cluster != file.name) {
    return absl::InvalidArgumentError(absl::StrCat(file.identity.certificate, ": belongs to cluster ",
                                                   identity.self.cluster, ", but ", file.path, " names ",
                                                   file.name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> StateFolder(const std::string& cluster) {
  if (std::string folder = Variable("K3SAGA_STATE"); !folder.empty()) return JoinPath(folder, cluster);
  if (std::string folder = Variable("XDG_STATE_HOME"); !folder.empty()) {
    return JoinPath(JoinPath(folder, "k3saga"), cluster);
  }
  if (std::string home = Variable("HOME"); !home.empty()) {
    return JoinPath(JoinPath(home, ".local/state/k3saga"), cluster);
  }
  return absl::InvalidArgumentError("no place for the journal: set K3SAGA_STATE or HOME");
}

std::string JournalPath(const std::string& state_folder) { return JoinPath(state_folder, "journal.db"); }

absl::StatusOr<std::unique_ptr<Session>> Session::Open(const Context& context) {
  K3SAGA_ASSIGN_OR_RETURN(config::ClusterFile file, config::LoadClusterFile(context.cluster_file));
  K3SAGA_ASSIGN_OR_RETURN(tls::Identity identity,
                          tls::LoadIdentity(file.identity, context.clock.WallUnixMillis() / 1000));
  K3SAGA_RETURN_IF_ERROR(CheckSelf(file, identity));
  K3SAGA_ASSIGN_OR_RETURN(std::string folder, StateFolder(file.name));
  K3SAGA_ASSIGN_OR_RETURN(std::vector<core::KnownTrouble> trouble,
                          config::LoadKnownTrouble(file.known_trouble));
  return std::unique_ptr<Session>(
      new Session(std::move(file), identity, std::move(folder), std::move(trouble)));
}

Session::Session(config::ClusterFile file, const tls::Identity& identity, std::string state_folder,
                 std::vector<core::KnownTrouble> known_trouble)
    : file_(std::move(file)),
      state_folder_(std::move(state_folder)),
      known_trouble_(std::move(known_trouble)) {
  std::vector<fleet::AgentAddress> agents;
  for (const config::ClusterNode& node : file_.nodes) agents.push_back({node.name, node.agent});
  fleet_ = std::make_unique<fleet::GrpcFleet>(loop_, tls::MakeChannelCredentials(identity), agents);
}

std::vector<view::NodeAnswer> Session::GatherFacts(bool obstacles, const std::vector<std::string>& only) {
  v1::GetFactsRequest request;
  request.set_drain_obstacles(obstacles);
  *request.mutable_drain_policy() = file_.policies.workers().drain();
  return Gather(std::move(request), only);
}

std::vector<v1::NodeFacts> Session::GatherKept() {
  v1::GetFactsRequest request;
  request.set_for_adoption(true);
  return ToFacts(Gather(std::move(request), {}));
}

std::vector<view::NodeAnswer> Session::Gather(v1::GetFactsRequest request,
                                              const std::vector<std::string>& only) {
  fleet::FactsRound round;
  round.timeout = kFactsTimeout;
  round.request = std::move(request);
  std::vector<view::NodeAnswer> answers;
  for (const config::ClusterNode& node : file_.nodes) {
    if (!only.empty() && std::find(only.begin(), only.end(), node.name) == only.end()) continue;
    round.nodes.push_back(node.name);
    answers.push_back({node.name, node.role, node.agent, absl::UnavailableError("not asked")});
  }
  std::vector<fleet::FactsAnswer> heard;
  fleet::CallHandle call =
      fleet::GatherFacts(*fleet_, std::move(round), [&](std::vector<fleet::FactsAnswer> all) {
        heard = std::move(all);
        loop_.Stop();
      });
  loop_.Run();
  for (size_t i = 0; i < heard.size() && i < answers.size(); ++i)
    answers[i].facts = std::move(heard[i].facts);
  return answers;
}

std::string Session::release_cache() const { return JoinPath(state_folder_, "releases"); }

core::PlanRequest Session::MakeRequest(const std::string& version, const UpgradeConsent& consent) const {
  core::PlanRequest request;
  request.cluster = file_.name;
  for (const config::ClusterNode& node : file_.nodes)
    request.nodes.push_back({node.name, node.role, node.agent});
  request.policies = file_.policies;
  request.release = file_.release;
  request.release.set_version(version);
  request.known_trouble = known_trouble_;
  request.release.set_allow_changed_configuration(consent.changed_configuration);
  request.consent_outage = consent.outage;
  return request;
}

std::vector<v1::NodeFacts> ToFacts(const std::vector<view::NodeAnswer>& answers) {
  std::vector<v1::NodeFacts> all;
  for (const view::NodeAnswer& answer : answers) {
    if (answer.facts.ok()) {
      all.push_back(*answer.facts);
      continue;
    }
    v1::NodeFacts none;
    none.set_name(answer.name);
    *none.add_problems() =
        MakeReason(v1::NODE_UNREACHABLE, answer.name,
                   absl::StrCat("its agent at ", answer.agent,
                                " did not answer: ", std::string(answer.facts.status().message())),
                   "is k3saga-agent running there, and is the address right?");
    all.push_back(std::move(none));
  }
  return all;
}

absl::StatusOr<std::string> ChooseRollout(const journal::Journal& journal, const std::string& asked,
                                          bool ended_too) {
  K3SAGA_ASSIGN_OR_RETURN(std::vector<journal::RolloutSummary> rollouts, journal.List());
  for (const journal::RolloutSummary& rollout : rollouts) {
    const bool unfinished = rollout.result == v1::RolloutEnded::RESULT_UNSPECIFIED;
    if (asked.empty() ? unfinished : rollout.rollout == asked) return rollout.rollout;
  }
  if (!asked.empty())
    return absl::NotFoundError(absl::StrCat("no rollout ", asked, "; `k3saga history` lists them"));
  if (ended_too && !rollouts.empty()) return rollouts.front().rollout;
  return absl::NotFoundError(ended_too ? "no rollout yet"
                                       : "no rollout is unfinished; `k3saga history` lists them");
}

}  // namespace k3saga::cli
