#pragma once

#include <absl/status/status.h>

#include <functional>
#include <string>

namespace k3saga::hosts {

// Moves the calling thread into a network namespace (a path, as Hosts::network_namespace gives it). For
// threads that stay there: a thread that goes on with other work should use InNetwork.
absl::Status EnterNetwork(const std::string& path);

// Runs `work` in that network, on a thread of its own, and waits for its end.
absl::Status InNetwork(const std::string& path, const std::function<absl::Status()>& work);

}  // namespace k3saga::hosts
