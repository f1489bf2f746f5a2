#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/version.h"
#include "k3saga/v1/facts.pb.h"
#include "k3saga/v1/plan.pb.h"

// Steps from one release to another that are known to hurt, as a table: coordinator/config reads it from data
// files, the planner compares it with the cluster.
namespace k3saga::core {

// "v1.21": every v1.21.x, release candidates included; "v1.21.3": every k3sN of that patch.
struct ReleaseBound {
  int major = 0;
  int minor = 0;
  int patch = 0;
};

// Both bounds are optional: at_least <= version < below.
struct ReleaseRange {
  std::optional<ReleaseBound> at_least;
  std::optional<ReleaseBound> below;

  bool Contains(const Version& version) const;
};

struct KnownTrouble {
  enum class Effect : uint8_t {
    kRefuse,
    kWarn,
    kRemedy,  // `manifests` are applied before the first server and removed after the last
  };

  std::string id;
  ReleaseRange from;  // what a node runs
  ReleaseRange to;    // the target

  // Further conditions, all of which have to hold. Unspecified, 0 or empty: any.
  v1::Role role = v1::ROLE_UNSPECIFIED;                 // of the node that would be upgraded
  v1::Datastore datastore = v1::DATASTORE_UNSPECIFIED;  // of the cluster
  uint32_t servers = 0;                                 // at least so many
  uint32_t cgroup_version = 0;                          // of the node
  std::string etcd_below;                               // the node's etcd is older than this: "3.5.26"
  std::string component;                                // the cluster runs this packaged component

  Effect effect = Effect::kWarn;
  std::string says;    // what happens
  std::string advice;  // what to do about it
  std::string source;  // who says so: links, issues
  v1::Remedy remedy;   // kRemedy
};

struct Survey;

// An entry that applies, and to which nodes; never empty.
struct TroubleAhead {
  const KnownTrouble* entry;
  std::vector<std::string> nodes;
};
std::vector<TroubleAhead> FindTrouble(const std::vector<KnownTrouble>& table, const Survey& survey);

}  // namespace k3saga::core
