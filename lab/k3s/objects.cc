#include "lab/k3s/objects.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "common/status_macros.h"

namespace k3saga::lab {
namespace {

const json kNull;

struct MergeKey {
  const char* list;
  const char* key;
};
constexpr MergeKey kMergeKeys[] = {
    {"conditions", "type"}, {"addresses", "type"},         {"ownerReferences", "uid"}, {"containers", "name"},
    {"volumes", "name"},    {"containerStatuses", "name"}, {"initContainers", "name"}, {"env", "name"}};

// Splits at commas outside of parentheses.
std::vector<std::string> SplitRequirements(std::string_view selector) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (char c : selector) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  for (std::string& part : parts) part = std::string(absl::StripAsciiWhitespace(part));
  parts.erase(std::remove(parts.begin(), parts.end(), ""), parts.end());
  return parts;
}

const json* Label(const json& labels, const std::string& key) {
  if (!labels.is_object()) return nullptr;
  auto found = labels.find(key);
  return found == labels.end() ? nullptr : &*found;
}

absl::StatusOr<bool> MatchesSet(const json& labels, const std::string& requirement) {
  const bool negative = absl::StrContains(requirement, " notin ");
  const size_t open = requirement.find('(');
  const size_t close = requirement.rfind(')');
  if (close == std::string::npos || close < open) {
    return absl::InvalidArgumentError(absl::StrCat("unable to parse requirement: ", requirement));
  }
  const std::string key(absl::StripAsciiWhitespace(requirement.substr(0, requirement.find(' '))));
  const json* value = Label(labels, key);
  bool in = false;
  for (absl::string_view word : absl::StrSplit(requirement.substr(open + 1, close - open - 1), ',')) {
    in = in || (value != nullptr && *value == std::string(absl::StripAsciiWhitespace(word)));
  }
  return negative ? !in : in;
}

absl::StatusOr<bool> MatchesRequirement(const json& labels, const std::string& requirement) {
  if (absl::StrContains(requirement, " in ") || absl::StrContains(requirement, " notin ")) {
    return MatchesSet(labels, requirement);
  }
  if (requirement[0] == '!') return Label(labels, requirement.substr(1)) == nullptr;
  const size_t equals = requirement.find('=');
  if (equals == std::string::npos) return Label(labels, requirement) != nullptr;
  const bool negative = equals > 0 && requirement[equals - 1] == '!';
  const size_t value_at = requirement.find_first_not_of('=', equals);
  const std::string value = value_at == std::string::npos ? "" : requirement.substr(value_at);
  const json* label = Label(labels, requirement.substr(0, negative ? equals - 1 : equals));
  const bool equal = label != nullptr && *label == value;
  return negative ? !equal : equal;
}

}  // namespace

const json& ObjectAt(const json& object, std::initializer_list<const char*> path) {
  const json* at = &object;
  for (const char* key : path) {
    if (!at->is_object()) return kNull;
    auto found = at->find(key);
    if (found == at->end()) return kNull;
    at = &*found;
  }
  return *at;
}

std::string TextAt(const json& object, std::initializer_list<const char*> path, std::string_view otherwise) {
  const json& value = ObjectAt(object, path);
  return value.is_string() ? value.get<std::string>() : std::string(otherwise);
}

int64_t NumberAt(const json& object, std::initializer_list<const char*> path, int64_t otherwise) {
  const json& value = ObjectAt(object, path);
  return value.is_number() ? value.get<int64_t>() : otherwise;
}

bool FlagAt(const json& object, std::initializer_list<const char*> path, bool otherwise) {
  const json& value = ObjectAt(object, path);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

absl::StatusOr<bool> MatchesLabelSelector(const json& labels, std::string_view selector) {
  for (const std::string& requirement : SplitRequirements(selector)) {
    K3SAGA_ASSIGN_OR_RETURN(const bool matches, MatchesRequirement(labels, requirement));
    if (!matches) return false;
  }
  return true;
}

bool MatchesSelectorObject(const json& labels, const json& selector) {
  const json& wanted = ObjectAt(selector, {"matchLabels"});
  if (wanted.is_object()) {
    for (const auto& [key, value] : wanted.items()) {
      const json* label = Label(labels, key);
      if (label == nullptr || *label != value) return false;
    }
  }
  const json& expressions = ObjectAt(selector, {"matchExpressions"});
  for (const json& expression : expressions.is_array() ? expressions : json::array()) {
    const json* label = Label(labels, TextAt(expression, {"key"}));
    const std::string op = TextAt(expression, {"operator"});
    const json& values = ObjectAt(expression, {"values"});
    const bool in = label != nullptr && values.is_array() &&
                    std::find(values.begin(), values.end(), *label) != values.end();
    if (op == "In" && !in) return false;
    if (op == "NotIn" && in) return false;
    if (op == "Exists" && label == nullptr) return false;
    if (op == "DoesNotExist" && label != nullptr) return false;
  }
  return true;
}

absl::StatusOr<bool> MatchesFieldSelector(const json& object, std::string_view selector) {
  for (const std::string& requirement : SplitRequirements(selector)) {
    const size_t equals = requirement.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat("invalid field selector: ", requirement));
    }
    const bool negative = requirement[equals - 1] == '!';
    const size_t value_at = requirement.find_first_not_of('=', equals);
    const std::string value = value_at == std::string::npos ? "" : requirement.substr(value_at);
    const json* at = &object;
    for (absl::string_view key : absl::StrSplit(requirement.substr(0, negative ? equals - 1 : equals), '.')) {
      at = at->is_object() && at->contains(std::string(key)) ? &(*at)[std::string(key)] : &kNull;
    }
    const bool equal = (at->is_string() ? at->get<std::string>() : at->is_null() ? "" : at->dump()) == value;
    if (equal == negative) return false;
  }
  return true;
}

void StrategicMerge(json& target, const json& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = json::object();
  for (const auto& [key, value] : patch.items()) {
    if (value.is_null()) {
      target.erase(key);
      continue;
    }
    const auto* merge = std::find_if(std::begin(kMergeKeys), std::end(kMergeKeys),
                                     [&name = key](const MergeKey& known) { return known.list == name; });
    if (!value.is_array() || merge == std::end(kMergeKeys) || !target.contains(key) ||
        !target[key].is_array()) {
      StrategicMerge(target[key], value);
      continue;
    }
    for (const json& item : value) {
      const std::string id = TextAt(item, {merge->key});
      json& list = target[key];
      auto same = std::find_if(list.begin(), list.end(),
                               [&](const json& candidate) { return TextAt(candidate, {merge->key}) == id; });
      if (TextAt(item, {"$patch"}) == "delete") {
        if (same != list.end()) list.erase(same);
      } else if (same != list.end()) {
        StrategicMerge(*same, item);
      } else {
        list.push_back(item);
      }
    }
  }
}

const json& ControllerOf(const json& object) {
  const json& owners = ObjectAt(object, {"metadata", "ownerReferences"});
  if (owners.is_array()) {
    for (const json& owner : owners) {
      if (FlagAt(owner, {"controller"})) return owner;
    }
  }
  return kNull;
}

int64_t ScaledValue(const json& value, int64_t of, bool round_up) {
  if (value.is_number()) return value.get<int64_t>();
  int64_t percent = 0;
  if (!value.is_string() ||
      !absl::SimpleAtoi(absl::StripSuffix(value.get_ref<const std::string&>(), "%"), &percent)) {
    return 0;
  }
  return round_up ? (percent * of + 99) / 100 : percent * of / 100;
}

}  // namespace k3saga::lab
