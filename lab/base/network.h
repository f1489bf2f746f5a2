#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace k3saga::lab {

// A loopback network of a lab's own. `lock` is an open, locked file: whoever inherits the descriptor keeps
// the network; it is free again when the last of them ends.
struct Network {
  std::string prefix;  // "127.X.Y"
  int lock = -1;
};

// The first free 127.X.Y.0/24: nobody holds its lock, and k3s's ports can be bound in it.
absl::StatusOr<Network> AcquireNetwork();

// Does somebody listen there?
bool CanConnect(const std::string& address, int port);

}  // namespace k3saga::lab
