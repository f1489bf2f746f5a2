#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "agent/node/host_paths.h"
#include "agent/node/unit_file.h"

namespace k3saga::node {

// A unit on disk whose command is k3s. Found by what it executes, not by its name.
struct K3sUnit {
  std::string name;                    // "k3s.service"
  std::string file;                    // its main file
  std::vector<std::string> drop_ins;   // in the order they apply
  Unit main;                           // the main file alone
  Unit full;                           // with the drop-ins
  ExecCommand exec;                    // of `full`
  std::string command;                 // "server" or "agent"
  std::vector<std::string> arguments;  // after the command, unexpanded
  bool wrapped = false;                // through a shell or another program
};

// The path, "server" or "agent" and the words after it of a command line that runs k3s, directly or through
// another program ("/usr/bin/env k3s server", "sh -c 'exec k3s agent'"). nullopt: it runs something else.
struct K3sCommand {
  std::string binary;
  std::string command;
  std::vector<std::string> arguments;
  bool wrapped = false;
};
std::optional<K3sCommand> FindK3sCommand(const ExecCommand& exec);

// All services below the unit directories that run k3s. Files that cannot be read or parsed are described in
// `problems` when their name says that they are k3s's.
std::vector<K3sUnit> FindK3sUnits(const HostPaths& paths, std::vector<std::string>* problems);

// NAME.service.d, NAME-.service.d and service.d below every unit directory: one file of each name, the
// strongest directory's; sorted by name. A link to /dev/null masks.
std::vector<std::string> FindDropIns(const HostPaths& paths, std::string_view unit);

}  // namespace k3saga::node
