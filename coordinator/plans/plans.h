#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/config/cluster_file.h"

namespace k3saga::plans {

// The two Plan resources (upgrade.cattle.io/v1) for Rancher's system-upgrade-controller that come closest to
// the cluster file's policies, as one YAML text of two documents, with what they cannot do as comments in
// front. `version`
// ("v1.32.0+k3s1") goes before what the file says; "" leaves it to the file.
//
// kFailedPrecondition unless the file says `distribution: k3s` and `system_upgrade_controller: {enabled:
// true}`; kInvalidArgument when neither a version nor a channel is known, or a policy has no counterpart that
// would be right.
absl::StatusOr<std::string> RenderPlans(const config::ClusterFile& file, std::string_view version);

// What the saga does and such Plans do not, one sentence each; what the policies in `file` ask for comes
// last.
std::vector<std::string> WhatPlansCannotDo(const config::ClusterFile& file);

}  // namespace k3saga::plans
