#pragma once

#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>

namespace k3saga::yaml {

// The same value as JSON, typed as YAML's core schema reads plain scalars: null, true, 12, 1.5; whatever is
// quoted is text.
nlohmann::json ToJson(const YAML::Node& node);

}  // namespace k3saga::yaml
