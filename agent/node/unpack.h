#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <string>

namespace k3saga::node {

// A k3s binary carries its programs packed, and unpacks them below its data folder when it first runs: one
// second on a fast machine, far longer from an SD card, in which k3s is away. Any of its commands does the
// same, beside a k3s that runs (`extract` in cmd/k3s/main.go of k3s, 1.20 and after: under a lock of its own;
// the link data/current follows). So it is done right before k3s is stopped, and no earlier: on a server the
// disk is etcd's too, and others find their way by that link. Done again it finds everything there.
//
// Not where SELinux is on: k3s's own process gives these files labels that ours would not. LOCAL_FAILURE only
// if k3s itself says that it cannot unpack here (no space): it could not start either. Whatever else comes in
// between is logged and left to k3s's start.
absl::Status UnpackK3s(const std::string& binary, const std::string& data_dir,
                       std::chrono::milliseconds deadline);

}  // namespace k3saga::node
