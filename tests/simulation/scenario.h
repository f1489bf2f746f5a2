#pragma once

#include <cstdint>
#include <vector>

#include "k3saga/v1/event.pb.h"
#include "tests/simulation/faults.h"

namespace k3saga::simulation {

inline constexpr char kOldVersion[] = "v1.31.4+k3s1";
inline constexpr char kNewVersion[] = "v1.32.0+k3s1";

// Everything about one history that is drawn before it begins.
struct Scenario {
  uint64_t seed = 0;
  v1::RolloutCreated created;
  Faults faults;
  // Leads back: servers and workers run the new release when it begins, and are to run the old one.
  bool way_back() const { return created.plan().kind() != v1::Plan::UPGRADE; }
  bool crashes_while_mixed = false;  // servers of the old release crash while versions are mixed (FACTS)

  struct Node {
    bool server = false;
    bool away = false;      // k3s is not running when the rollout begins
    bool cordoned = false;  // by the user
    bool at_target = false;
    bool bad_release = false;  // the new release never becomes ready here
    bool stuck_drain = false;
    bool bad_installer = false;
    uint8_t pods = 0;  // that a drain has to evict, one after the other
  };
  std::vector<Node> nodes;  // as in the plan

  bool etcd() const { return created.plan().datastore() == v1::DATASTORE_EMBEDDED_ETCD; }
};

// `servers` 0: drawn, and `workers` too.
Scenario DrawScenario(uint64_t seed, int servers, int workers);

}  // namespace k3saga::simulation
