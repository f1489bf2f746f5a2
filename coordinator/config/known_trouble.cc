#include "coordinator/config/known_trouble.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/host/files.h"
#include "common/status_macros.h"
#include "common/yaml/section.h"
#include "common/yaml/to_json.h"

namespace k3saga::config {
namespace {

using core::KnownTrouble;
using core::ReleaseBound;

constexpr uint64_t kLargestFile = 1 << 20;
constexpr int64_t kMostServers = 1000;

// "v1.21" or "v1.21.3".
std::optional<ReleaseBound> ParseBound(const std::string& text) {
  if (text.empty() || text.front() != 'v') return std::nullopt;
  const std::vector<std::string> parts = absl::StrSplit(text.substr(1), '.');
  if (parts.size() < 2 || parts.size() > 3) return std::nullopt;
  ReleaseBound bound;
  int* const places[] = {&bound.major, &bound.minor, &bound.patch};
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool digits = !parts[i].empty() && parts[i].find_first_not_of("0123456789") == std::string::npos;
    if (!digits || !absl::SimpleAtoi(parts[i], places[i])) return std::nullopt;
  }
  return bound;
}

core::ReleaseRange ReadRange(yaml::Section section) {
  const auto bound = [&](std::string_view key) -> std::optional<ReleaseBound> {
    if (!section.Has(key)) return std::nullopt;
    const std::string text = section.Text(key);
    std::optional<ReleaseBound> parsed = ParseBound(text);
    if (!parsed) {
      section.AddProblem(key,
                         absl::StrCat("expected a release such as v1.21 or v1.21.3, found \"", text, "\""));
    }
    return parsed;
  };
  core::ReleaseRange range{bound("at_least"), bound("below")};
  section.Finish();
  return range;
}

// "clusterrole/k3saga-mixed": what kubectl takes; "" when the object is not one.
std::string ObjectName(const nlohmann::json& object) {
  const auto text = [](const nlohmann::json& where, const char* key) {
    return where.is_object() && where.contains(key) && where[key].is_string() ? where[key].get<std::string>()
                                                                              : std::string();
  };
  const nlohmann::json metadata =
      object.is_object() && object.contains("metadata") ? object["metadata"] : nlohmann::json();
  const std::string kind = text(object, "kind");
  const std::string name = text(metadata, "name");
  if (text(object, "apiVersion").empty() || kind.empty() || name.empty()) return "";
  const std::string name_space = text(metadata, "namespace");
  return absl::StrCat(absl::AsciiStrToLower(kind), "/", name,
                      name_space.empty() ? "" : absl::StrCat(" -n ", name_space));
}

void ReadManifests(yaml::Section& section, v1::Remedy& remedy) {
  const YAML::Node list = section.Value("manifests");
  if (!list.IsDefined() || !list.IsSequence() || list.size() == 0) {
    return section.AddProblem("manifests", "expected a list of Kubernetes objects with effect: remedy");
  }
  for (const YAML::Node& item : list) {
    const nlohmann::json object = yaml::ToJson(item);
    const std::string name = ObjectName(object);
    if (name.empty()) {
      section.AddProblem("manifests", absl::StrCat("entry ", remedy.manifests_size() + 1,
                                                   ": expected apiVersion, kind and metadata.name"));
    }
    remedy.add_manifests(object.dump());
    remedy.add_objects(name);
  }
}

KnownTrouble ReadEntry(yaml::Section& section) {
  using Effect = KnownTrouble::Effect;
  KnownTrouble entry;
  entry.id = section.RequiredText("id", "a name for this entry");
  entry.from = ReadRange(section.Child("from"));
  entry.to = ReadRange(section.Child("to"));
  entry.role = section.Choice<v1::Role>("role", {{"server", v1::ROLE_SERVER}, {"worker", v1::ROLE_WORKER}},
                                        v1::ROLE_UNSPECIFIED);
  entry.datastore = section.Choice<v1::Datastore>("datastore",
                                                  {{"embedded-etcd", v1::DATASTORE_EMBEDDED_ETCD},
                                                   {"sqlite", v1::DATASTORE_SQLITE},
                                                   {"external", v1::DATASTORE_EXTERNAL}},
                                                  v1::DATASTORE_UNSPECIFIED);
  entry.servers = static_cast<uint32_t>(section.Number("servers", 0, 1, kMostServers));
  entry.cgroup_version = static_cast<uint32_t>(section.Number("cgroup_version", 0, 1, 2));
  entry.etcd_below = section.Text("etcd_below");
  entry.component = section.Text("component");
  if (!section.Has("effect")) section.AddProblem("effect", "missing; expected refuse | warn | remedy");
  entry.effect = section.Choice<Effect>(
      "effect", {{"refuse", Effect::kRefuse}, {"warn", Effect::kWarn}, {"remedy", Effect::kRemedy}},
      Effect::kWarn);
  entry.says = section.RequiredText("says", "what happens on this step");
  entry.advice = section.Text("advice");
  entry.source = section.RequiredText("source", "who says so: a link or an issue");
  if (entry.effect == Effect::kRemedy) {
    entry.remedy.set_trouble(entry.id);
    ReadManifests(section, entry.remedy);
  }
  section.Finish();
  return entry;
}

void Merge(std::vector<KnownTrouble> entries, std::vector<KnownTrouble>& table) {
  for (KnownTrouble& entry : entries) {
    const auto known = std::find_if(table.begin(), table.end(),
                                    [&](const KnownTrouble& each) { return each.id == entry.id; });
    if (known == table.end()) {
      table.push_back(std::move(entry));
    } else {
      *known = std::move(entry);
    }
  }
}

}  // namespace

absl::StatusOr<std::vector<KnownTrouble>> ParseKnownTrouble(const std::string& text,
                                                            const std::string& path) {
  yaml::Problems problems(path);
  yaml::Section top(yaml::ParseDocument(text, &problems), "", &problems);
  std::vector<KnownTrouble> entries;
  for (yaml::Section& section : top.Children("known_trouble")) {
    KnownTrouble entry = ReadEntry(section);
    const bool twice = std::any_of(entries.begin(), entries.end(),
                                   [&](const KnownTrouble& each) { return each.id == entry.id; });
    if (twice) section.AddProblem("id", absl::StrCat("\"", entry.id, "\" is already another entry's"));
    entries.push_back(std::move(entry));
  }
  top.Finish();
  if (!problems.empty()) return problems.ToStatus();
  return entries;
}

absl::StatusOr<std::vector<KnownTrouble>> LoadKnownTrouble(const std::string& folder) {
  K3SAGA_ASSIGN_OR_RETURN(std::vector<KnownTrouble> table,
                          ParseKnownTrouble(kBuiltInTrouble, "known-trouble.yaml"));
  if (folder.empty()) return table;
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(folder));
  for (const std::string& name : names) {
    if (!absl::EndsWith(name, ".yaml")) continue;
    const std::string path = JoinPath(folder, name);
    K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kLargestFile));
    K3SAGA_ASSIGN_OR_RETURN(std::vector<KnownTrouble> entries, ParseKnownTrouble(text, path));
    Merge(std::move(entries), table);
  }
  return table;
}

}  // namespace k3saga::config
