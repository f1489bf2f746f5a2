#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/node/host_paths.h"

namespace k3saga::node {

// A distribution of Kubernetes that is known by sight: told apart from the one that an agent upgrades, and
// refused.
struct Stranger {
  std::string name;   // "rke2"
  std::string said;   // "this node runs RKE2"
  std::string trace;  // the file that gave it away

  std::string Describe() const { return said + " (" + trace + ")"; }
};

// The first one whose traces are on this machine; `own` is no stranger.
std::optional<Stranger> FindStranger(const HostPaths& paths, std::string_view own);

}  // namespace k3saga::node
