#include "agent/kube/deprecated.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

namespace k3saga::kube {
namespace {

constexpr std::string_view kMetric = "apiserver_requested_deprecated_apis{";

// The labels of one sample, `a="b",c="d"}`; nullopt when it is none.
std::optional<Labels> LabelsOf(std::string_view text) {
  Labels labels;
  while (!text.empty() && text.front() != '}') {
    const size_t equals = text.find("=\"");
    if (equals == text.npos) return std::nullopt;
    const std::string name(text.substr(0, equals));
    std::string value;
    size_t at = equals + 2;
    for (; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\\' && at + 1 < text.size()) ++at;
      value.push_back(text[at]);
    }
    if (at >= text.size()) return std::nullopt;
    labels[name] = value;
    text.remove_prefix(at + 1);
    if (!text.empty() && text.front() == ',') text.remove_prefix(1);
  }
  return labels;
}

bool SameResource(const v1::DeprecatedApi& a, const v1::DeprecatedApi& b) {
  return a.group() == b.group() && a.version() == b.version() && a.resource() == b.resource();
}

std::string ApiVersionOf(const v1::DeprecatedApi& api) {
  return api.group().empty() ? api.version() : absl::StrCat(api.group(), "/", api.version());
}

}  // namespace

std::vector<v1::DeprecatedApi> DeprecatedIn(std::string_view metrics) {
  std::vector<v1::DeprecatedApi> found;
  for (size_t at = metrics.find(kMetric); at != metrics.npos; at = metrics.find(kMetric, at + 1)) {
    if (at != 0 && metrics[at - 1] != '\n') continue;
    const std::string_view line = metrics.substr(at, metrics.find('\n', at) - at);
    const std::optional<Labels> labels = LabelsOf(line.substr(kMetric.size()));
    if (!labels) continue;
    const auto label = [&](const char* name) {
      const auto there = labels->find(name);
      return there == labels->end() ? std::string() : there->second;
    };
    v1::DeprecatedApi api;
    api.set_group(label("group"));
    api.set_version(label("version"));
    api.set_resource(label("resource"));
    api.set_removed_release(label("removed_release"));
    const bool known =
        std::any_of(found.begin(), found.end(), [&](const auto& each) { return SameResource(each, api); });
    if (!known && !api.resource().empty() && !api.removed_release().empty()) found.push_back(std::move(api));
  }
  return found;
}

std::string PathOf(const v1::DeprecatedApi& api) {
  return absl::StrCat(api.group().empty() ? "/api/" : "/apis/", ApiVersionOf(api), "/", api.resource());
}

std::vector<std::string> WrittenThrough(const v1::DeprecatedApi& api, const Json::array_t& objects,
                                        size_t most) {
  const std::string version = ApiVersionOf(api);
  std::vector<std::string> written;
  for (const Json& object : objects) {
    for (const Json& field : ListAt(object, {"metadata", "managedFields"})) {
      if (TextAt(field, {"apiVersion"}) != version) continue;
      if (written.size() == most) return written;
      const std::string name_space = TextAt(object, {"metadata", "namespace"});
      written.push_back(absl::StrCat(name_space, name_space.empty() ? "" : "/",
                                     TextAt(object, {"metadata", "name"}), " (by ",
                                     TextAt(field, {"manager"}), ")"));
      break;
    }
  }
  return written;
}

}  // namespace k3saga::kube
