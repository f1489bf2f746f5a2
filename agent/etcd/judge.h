#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/etcd/view.h"
#include "k3saga/v1/operation.pb.h"
#include "k3saga/v1/reason.pb.h"

namespace k3saga::etcd {

// Pure: may the own member be stopped now? nullopt means yes. The other members have to carry the cluster
// alone: a leader that is somebody else (when asked for), healthy voters enough for a quorum of the whole
// membership, and the membership that the rollout began with. A member that does not even listen has no vote
// to lose, so nothing is refused then: a failed node never blocks its own repair. `node` is named as the
// subject.
std::optional<v1::Reason> JudgeBeforeStop(const v1::LastCheck& check, const ClusterView& view,
                                          std::string_view node);

// Pure: who should lead instead of the own member: the first healthy voter of `preferred`, else the furthest
// other healthy voter. 0: nobody can.
uint64_t ChooseLeader(const std::vector<uint64_t>& preferred, const ClusterView& view);

}  // namespace k3saga::etcd
