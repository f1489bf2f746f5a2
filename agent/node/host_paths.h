#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace k3saga::node {

// Where things are on this machine: agent.yaml's `host:` block. The lab and the tests set it; on a real node
// every default is right. Only *default* paths get the root prefix: a path that a unit or a configuration
// names is literal.
struct HostPaths {
  std::string root = "/";
  std::string systemctl = "/usr/bin/systemctl";
  std::string systemd_run = "/usr/bin/systemd-run";
  std::string journalctl = "/usr/bin/journalctl";
  std::string proc = "/proc";

  std::string Below(std::string_view path) const;  // "/etc/x" below the root
  // Where systemd looks for units, strongest first.
  std::vector<std::string> UnitDirectories() const;
  std::string BinDirectory() const;  // usr/local/bin
};

// The agent's own state folder (0700).
struct StatePaths {
  std::string state = "/var/lib/k3saga-agent";

  std::string Staged() const;   // staged/VERSION/
  std::string Kept() const;     // kept/ROLLOUT/
  std::string Backups() const;  // backups/ID/
  std::string Uploads() const;  // uploads/
  std::string Replace() const;  // replace/: the agent's own last replacement
};

// "amd64", "arm64", "arm", "s390x"; "" for a machine that nothing is released for.
std::string MachineArchitecture();

}  // namespace k3saga::node
