#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <map>
#include <set>
#include <tuple>

#include "common/reason.h"
#include "coordinator/core/planner/survey.h"

// What works now and may not after the upgrade: callers of removed APIs, packaged components.
namespace k3saga::core {
namespace {

// "1.25" as it compares with a version's minor; nullopt for anything else.
std::optional<std::pair<int, int>> ParseMinor(const std::string& text) {
  std::pair<int, int> parsed{0, 0};
  size_t at = 0;
  for (int* part : {&parsed.first, &parsed.second}) {
    const size_t from = at;
    for (; at < text.size() && at - from < 4 && text[at] >= '0' && text[at] <= '9'; ++at) {
      *part = *part * 10 + (text[at] - '0');
    }
    if (at == from) return std::nullopt;
    if (part == &parsed.first && (at >= text.size() || text[at++] != '.')) return std::nullopt;
  }
  if (at != text.size()) return std::nullopt;
  return parsed;
}

struct Image {
  std::string name;  // "traefik": without registry, folder and the prefix of mirrored ones
  std::string tag;
};

Image ParseImage(std::string_view text) {
  const size_t slash = text.rfind('/');
  std::string_view last = slash == text.npos ? text : text.substr(slash + 1);
  last = last.substr(0, last.find('@'));
  const size_t colon = last.find(':');
  Image image{std::string(last.substr(0, colon)),
              colon == last.npos ? "" : std::string(last.substr(colon + 1))};
  for (const std::string_view prefix : {"mirrored-", "library-"}) {
    if (image.name.compare(0, prefix.size(), prefix) == 0) image.name.erase(0, prefix.size());
  }
  return image;
}

// What counts as a jump: another major version or, below 1.0, another minor one. "" when the tag says
// neither.
std::string Generation(std::string_view tag) {
  if (!tag.empty() && tag.front() == 'v') tag.remove_prefix(1);
  const size_t end = std::min(tag.find('.'), tag.size());
  std::string major(tag.substr(0, end));
  if (major.empty() || major.find_first_not_of("0123456789") != major.npos || end == tag.size()) return "";
  if (major != "0") return major;
  return absl::StrCat("0.", std::string(tag.substr(end + 1, tag.find('.', end + 1) - end - 1)));
}

using Tags = std::map<std::string, std::string>;  // by name

void CheckJump(const std::string& running, const Tags& target, std::set<std::string>& told,
               Findings& findings) {
  const Image image = ParseImage(running);
  const auto next = target.find(image.name);
  if (next == target.end() || !told.insert(image.name).second) return;
  const std::string from = Generation(image.tag);
  const std::string to = Generation(next->second);
  if (from.empty() || to.empty() || from == to) return;
  findings.Notice(v1::COMPONENT_JUMPS, image.name,
                  absl::StrCat("the packaged component goes from ", image.tag, " to ", next->second),
                  "read its own notes on that step");
}

}  // namespace

void CheckDeprecatedApis(const Survey& survey, Findings& findings) {
  if (!survey.target) return;
  std::map<std::tuple<std::string, std::string, std::string>, std::pair<std::string, std::set<std::string>>>
      removed;
  for (const Surveyed& node : survey.nodes) {
    if (!node.reached()) continue;
    for (const v1::DeprecatedApi& api : node.facts->deprecated_apis()) {
      const auto gone_in = ParseMinor(api.removed_release());
      if (!gone_in || std::pair(survey.target->major(), survey.target->minor()) < *gone_in) continue;
      auto& [release, objects] = removed[{api.group(), api.version(), api.resource()}];
      release = api.removed_release();
      objects.insert(api.objects().begin(), api.objects().end());
    }
  }
  for (const auto& [api, found] : removed) {
    const auto& [group, version, resource] = api;
    std::string detail = absl::StrCat("somebody calls this API; v", found.first, " removes it");
    if (!found.second.empty())
      absl::StrAppend(&detail, "; written through it: ", absl::StrJoin(found.second, ", "));
    findings.Notice(v1::DEPRECATED_API, absl::StrCat(group, group.empty() ? "" : "/", version, " ", resource),
                    detail,
                    "let its callers use a newer version first; k3s's own controllers change by themselves");
  }
}

void CheckComponents(const Survey& survey, Findings& findings) {
  if (survey.api == nullptr) return;
  Tags target;
  for (const std::string& text : survey.request->target_images) {
    const Image image = ParseImage(text);
    target.emplace(image.name, image.tag);
  }
  std::set<std::string> told;
  for (const v1::PackagedComponent& component : survey.api->components()) {
    if (!component.ready()) {
      // Verify does not hold this against the rollout: the subject names it there as here.
      findings.Notice(v1::COMPONENT_NOT_READY, absl::StrCat(component.kind(), " ", component.name()),
                      absl::StrCat("this packaged component is not ready: ", component.detail()),
                      "it is not counted against the upgrade");
    }
    for (const std::string& image : component.images()) CheckJump(image, target, told, findings);
  }
}

}  // namespace k3saga::core
