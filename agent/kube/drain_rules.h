#pragma once

#include <string>

#include "agent/kube/objects.h"
#include "k3saga/v1/policy.pb.h"

namespace k3saga::kube {

// What a drain does with one pod: the meaning of `kubectl drain --ignore-daemonsets`. Pure.
enum class PodFate {
  kEvict,
  kStays,      // mirror and DaemonSet pods: evicting them is pointless; and what has ended (Pod::ended)
  kUnmanaged,  // nothing would bring it back, and the policy does not allow to lose it
  kEmptyDir,   // its data would be lost, and the policy does not allow that
};
PodFate FateOf(const Pod& pod, const v1::DrainPolicy& policy);

// For kUnmanaged and kEmptyDir: what is in the way, and what to do about it.
v1::Reason InTheWay(const Pod& pod, PodFate fate);

}  // namespace k3saga::kube
