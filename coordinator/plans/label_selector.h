#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

namespace k3saga::plans {

// One requirement of a Kubernetes label selector, as matchExpressions writes it.
struct Requirement {
  std::string key;
  std::string op;  // "In", "NotIn", "Exists", "DoesNotExist"
  std::vector<std::string> values;
};

// Reads a selector as `kubectl --selector` takes it: "app=web,tier!=db,gpu,!spot,zone in (a,b),zone notin
// (c)".
absl::StatusOr<std::vector<Requirement>> ParseLabelSelector(std::string_view text);

}  // namespace k3saga::plans
