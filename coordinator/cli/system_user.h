#pragma once

#include <absl/status/status.h>

#include <string>

namespace k3saga::cli {

// The user that the packages make, for clusters below its home. Where root uses such a cluster's file (or is
// about to write it, in a folder of that user), this process becomes that user, for good: there is one
// journal of the cluster, and nothing in it that the service may not write. Anybody else stays who they are.
// Call it before anything is opened and before threads are started.
absl::Status ActAsSystemUser(const std::string& cluster_file);

}  // namespace k3saga::cli
