#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/api.h"

namespace k3saga::kube {

// The cluster's control loops (controller manager, scheduler, cloud controller manager) are led by one
// server's k3s process each, by Leases in kube-system. k3s does not give them up when it stops (seen on 1.20
// and 1.21): they run out 15 s later, and until the next leader's loops have started, some 10 s after that,
// nobody replaces a pod or lets a disruption budget have its next one.
struct Leadership {
  struct Held {
    std::string lease;
    std::string holder;  // of this very process: "HOST_UUID"
  };
  std::vector<Held> held;
  std::vector<std::string> servers;  // every API server of the cluster, "https://10.0.0.2:6443"; this one too
};

// The controller manager is among it: whoever replaces pods and frees budgets.
bool LeadsControllers(const Leadership& leadership);

// The name under which a k3s process of this machine leads: what the kernel says, as Kubernetes asks it.
std::string HostOfLeaders();

// What the k3s process of `host` leads now.
absl::StatusOr<Leadership> ReadLeadership(Api& api, std::string_view host, const Patience& patience);

// Gives it up in the name of that process, which must have ended, as it could have done itself (client-go's
// ReleaseOnCancel): a Lease that somebody else holds by now is left alone. Asks the servers in turn.
absl::Status GiveBack(const Leadership& leadership, HttpClient& http, const Clock& clock, Pauser& pauser,
                      const Patience& patience);

}  // namespace k3saga::kube
