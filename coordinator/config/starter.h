#pragma once

#include <string>
#include <vector>

#include "k3saga/v1/facts.pb.h"

namespace k3saga::config {

struct StarterNode {
  std::string name;
  v1::Role role = v1::ROLE_UNSPECIFIED;
  std::string address;  // as a person writes it
};

// A cluster.yaml for `k3saga init`: every key there is, each with its default and what it means. `nodes` may
// be empty; then examples stand in their place. `identity_folder` is relative to the file.
std::string StarterClusterFile(const std::string& name, const std::vector<StarterNode>& nodes,
                               const std::string& identity_folder);

}  // namespace k3saga::config
