#include "coordinator/core/planner/known_trouble.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "coordinator/core/planner/survey.h"

namespace k3saga::core {
namespace {

constexpr size_t kMostNamed = 3;

bool Reaches(const Version& version, const ReleaseBound& bound) {
  return std::tuple(version.major(), version.minor(), version.patch()) >=
         std::tuple(bound.major, bound.minor, bound.patch);
}

using EtcdVersion = std::array<int, 3>;

// "3.5.21" or "3.5.21-k3s1"; nullopt for anything else.
std::optional<EtcdVersion> ParseEtcd(const std::string& text) {
  EtcdVersion version = {};
  size_t part = 0;
  bool digits = false;
  for (const char c : text.substr(0, text.find_first_of("-+"))) {
    if (c >= '0' && c <= '9' && version[part] < 1'000'000) {
      version[part] = version[part] * 10 + (c - '0');
      digits = true;
    } else if (c == '.' && digits && part + 1 < version.size()) {
      ++part;
      digits = false;
    } else {
      return std::nullopt;
    }
  }
  if (!digits || part + 1 != version.size()) return std::nullopt;
  return version;
}

// A version that could not be read is not held against anybody.
bool EtcdIsBelow(const v1::NodeFacts& facts, const std::string& bound) {
  const std::optional<EtcdVersion> here = ParseEtcd(facts.etcd().version());
  const std::optional<EtcdVersion> least = ParseEtcd(bound);
  return here && least && *here < *least;
}

bool RunsComponent(const Survey& survey, const std::string& name) {
  if (survey.api == nullptr) return false;
  const auto& components = survey.api->components();
  return std::any_of(components.begin(), components.end(),
                     [&](const v1::PackagedComponent& each) { return each.name() == name; });
}

bool ConcernsCluster(const KnownTrouble& entry, const Survey& survey) {
  const auto servers = std::count_if(survey.nodes.begin(), survey.nodes.end(),
                                     [](const Surveyed& node) { return node.server(); });
  if (!survey.target || !entry.to.Contains(*survey.target)) return false;
  if (static_cast<uint32_t>(servers) < entry.servers) return false;
  if (entry.datastore != v1::DATASTORE_UNSPECIFIED && entry.datastore != survey.datastore) return false;
  return entry.component.empty() || RunsComponent(survey, entry.component);
}

bool ConcernsNode(const KnownTrouble& entry, const Survey& survey, const Surveyed& node) {
  if (!node.reached() || !node.version || AtTarget(survey, node)) return false;
  if (!entry.from.Contains(*node.version)) return false;
  if (entry.role != v1::ROLE_UNSPECIFIED && entry.role != node.wanted->role) return false;
  if (entry.cgroup_version != 0 && entry.cgroup_version != node.facts->cgroup_version()) return false;
  return entry.etcd_below.empty() || EtcdIsBelow(*node.facts, entry.etcd_below);
}

std::string Names(const std::vector<std::string>& nodes) {
  if (nodes.size() <= kMostNamed) return absl::StrJoin(nodes, ", ");
  return absl::StrCat(absl::StrJoin(nodes.begin(), nodes.begin() + kMostNamed, ", "), " and ",
                      nodes.size() - kMostNamed, " more");
}

std::string Details(const KnownTrouble& entry) {
  std::string details = entry.says;
  if (!entry.source.empty()) absl::StrAppend(&details, " (", entry.source, ")");
  return details;
}

std::string Remedied(const KnownTrouble& entry) {
  return absl::StrCat(entry.advice, entry.advice.empty() ? "" : "; ", "k3saga applies ",
                      absl::StrJoin(entry.remedy.objects(), ", "),
                      " before the first server and removes it after the last");
}

}  // namespace

bool ReleaseRange::Contains(const Version& version) const {
  return (!at_least || Reaches(version, *at_least)) && (!below || !Reaches(version, *below));
}

std::vector<TroubleAhead> FindTrouble(const std::vector<KnownTrouble>& table, const Survey& survey) {
  std::vector<TroubleAhead> ahead;
  for (const KnownTrouble& entry : table) {
    if (!ConcernsCluster(entry, survey)) continue;
    TroubleAhead trouble{&entry, {}};
    for (const Surveyed& node : survey.nodes) {
      if (ConcernsNode(entry, survey, node)) trouble.nodes.push_back(node.name());
    }
    if (!trouble.nodes.empty()) ahead.push_back(std::move(trouble));
  }
  return ahead;
}

void CheckKnownTrouble(const Survey& survey, Findings& findings) {
  for (const TroubleAhead& trouble : FindTrouble(survey.request->known_trouble, survey)) {
    const KnownTrouble& entry = *trouble.entry;
    switch (entry.effect) {
      case KnownTrouble::Effect::kRefuse:
        findings.Refuse(v1::KNOWN_TROUBLE, Names(trouble.nodes), Details(entry), entry.advice);
        break;
      case KnownTrouble::Effect::kWarn:
        findings.Notice(v1::KNOWN_TROUBLE, Names(trouble.nodes), Details(entry), entry.advice);
        break;
      case KnownTrouble::Effect::kRemedy:
        findings.Notice(v1::KNOWN_TROUBLE, Names(trouble.nodes), Details(entry), Remedied(entry));
        break;
    }
  }
}

}  // namespace k3saga::core
