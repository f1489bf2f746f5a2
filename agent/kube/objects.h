#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/json.h"
#include "k3saga/v1/facts.pb.h"

namespace k3saga::kube {

// Kubernetes objects as values with what k3saga looks at. All functions are pure.

struct Pod {
  std::string name_space;
  std::string name;
  std::string uid;
  std::string node;
  Labels labels;
  std::string phase;            // "Pending", "Running", "Succeeded", "Failed"
  bool mirror = false;          // the API's shadow of a static pod: nobody can evict it
  bool terminating = false;     // on its way out
  bool ended = false;           // nothing of it is left that anybody waits for; see PodOf
  bool empty_dir = false;       // has data that dies with it
  std::string controller_kind;  // "ReplicaSet", "DaemonSet", ...; "" when nothing would bring it back
  std::string controller_uid;

  std::string FullName() const { return name_space + "/" + name; }
  bool Finished() const { return phase == "Succeeded" || phase == "Failed"; }
};
// `ended` is for kubelets older than 1.22, which remove a deleted pod's object up to 10 s after its last
// container ended (their status manager's tick). True only if nothing waits for that: it is deleted, every
// container has ended, no volume is to be detached, and a ReplicaSet has replaced it under another name.
Pod PodOf(const Json& object);

// A label selector as in metav1.LabelSelector.
struct Selector {
  struct Requirement {
    std::string key;
    std::string op;  // "In", "NotIn", "Exists", "DoesNotExist"
    std::vector<std::string> values;
  };
  Labels labels;
  std::vector<Requirement> requirements;
  bool nothing = false;  // matches no pod at all

  bool Matches(const Labels& of_pod) const;
};

struct Budget {
  std::string name_space;
  std::string name;
  Selector selector;
  std::string min_available;    // "2", "50%", "" when not given
  std::string max_unavailable;  // the same
  int64_t desired_healthy = 0;
  int64_t expected_pods = 0;

  std::string FullName() const { return name_space + "/" + name; }
  bool Covers(const Pod& pod) const { return pod.name_space == name_space && selector.Matches(pod.labels); }
};
// `v1beta1`: an empty selector matches nothing there, everything in v1.
Budget BudgetOf(const Json& object, bool v1beta1);

// Milliseconds since the epoch of an RFC 3339 time; nullopt for anything else.
std::optional<int64_t> UnixMillisOf(const std::string& rfc3339);

// `lease_renewed`: spec.renewTime of the node's lease, "" where there is none. `now_unix_ms`: the API
// server's clock.
v1::KubeNode NodeOf(const Json& object, const std::string& lease_renewed, int64_t now_unix_ms);

// The text of the last sign of life: it changes with each. The lease where there is one, else the Ready
// condition.
std::string HeartbeatOf(const Json& node, const std::string& lease_renewed);

}  // namespace k3saga::kube
