#include "agent/node/host_paths.h"

#include <sys/utsname.h>

#include "common/host/files.h"

namespace k3saga::node {

std::string HostPaths::Below(std::string_view path) const { return JoinPath(root, path); }

std::vector<std::string> HostPaths::UnitDirectories() const {
  return {Below("etc/systemd/system"), Below("run/systemd/system"), Below("usr/local/lib/systemd/system"),
          Below("usr/lib/systemd/system"), Below("lib/systemd/system")};
}

std::string HostPaths::BinDirectory() const { return Below("usr/local/bin"); }

std::string StatePaths::Staged() const { return JoinPath(state, "staged"); }
std::string StatePaths::Kept() const { return JoinPath(state, "kept"); }
std::string StatePaths::Backups() const { return JoinPath(state, "backups"); }
std::string StatePaths::Uploads() const { return JoinPath(state, "uploads"); }
std::string StatePaths::Replace() const { return JoinPath(state, "replace"); }

std::string MachineArchitecture() {
  utsname name{};
  uname(&name);
  const std::string_view machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine == "s390x") return "s390x";
  if (machine.substr(0, 3) == "arm") return "arm";
  return "";
}

}  // namespace k3saga::node
