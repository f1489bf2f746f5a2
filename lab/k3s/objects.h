#pragma once

#include <absl/status/statusor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace k3saga::lab {

using nlohmann::json;

// Values at the end of a path of an object, or a default: Kubernetes objects leave out whatever is empty.
std::string TextAt(const json& object, std::initializer_list<const char*> path,
                   std::string_view otherwise = "");
int64_t NumberAt(const json& object, std::initializer_list<const char*> path, int64_t otherwise = 0);
bool FlagAt(const json& object, std::initializer_list<const char*> path, bool otherwise = false);
const json& ObjectAt(const json& object, std::initializer_list<const char*> path);  // null when absent

// A label selector as list requests write it: "a=b,c!=d,e in (f,g),!h".
absl::StatusOr<bool> MatchesLabelSelector(const json& labels, std::string_view selector);
// The selector of an object: matchLabels and matchExpressions. An empty one matches everything.
bool MatchesSelectorObject(const json& labels, const json& selector);
// "spec.nodeName=w1,status.phase!=Failed", for any path of strings.
absl::StatusOr<bool> MatchesFieldSelector(const json& object, std::string_view selector);

// Strategic merge as far as lists have a key that everybody knows (conditions by type, containers by name,
// owner references by uid, ...); other lists are replaced.
void StrategicMerge(json& target, const json& patch);

// The owner reference with controller: true; null when there is none.
const json& ControllerOf(const json& object);

// "50%" of `of` or a plain number, as budgets write them.
int64_t ScaledValue(const json& value, int64_t of, bool round_up);

}  // namespace k3saga::lab
