#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <sys/utsname.h>

#include "agent/node/installation.h"
#include "common/host/files.h"

namespace k3saga::node {
namespace {

std::string OperatingSystem(const HostPaths& paths) {
  auto text = ReadFile(paths.Below("etc/os-release"), 1 << 16);
  if (!text.ok()) return "";
  for (const Variable& variable : ParseEnvironmentFile(*text)) {
    if (variable.key == "PRETTY_NAME") return variable.value;
  }
  return "";
}

// Version 2 only where the unified hierarchy stands at the root: a hybrid host is one for the kubelet.
uint32_t CgroupVersion(const HostPaths& paths) {
  auto mounts = ReadFile(JoinPath(paths.proc, "self/mounts"), 1 << 20);
  if (!mounts.ok()) return 0;
  uint32_t version = 0;
  for (absl::string_view line : absl::StrSplit(*mounts, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    if (fields.size() < 3) continue;
    if (fields[2] == "cgroup2" && fields[1] == "/sys/fs/cgroup") return 2;
    if (fields[2] == "cgroup") version = 1;
  }
  return version;
}

// Debian and Ubuntu say so in a file; elsewhere a kernel newer than the running one in /lib/modules is the
// sign, and that is not read here: a kernel that was installed is not yet one that is wanted.
bool RebootRequired(const HostPaths& paths) {
  return Exists(paths.Below("run/reboot-required")) || Exists(paths.Below("var/run/reboot-required"));
}

}  // namespace

void ReadMachine(const HostPaths& paths, v1::NodeFacts* facts) {
  utsname name{};
  uname(&name);
  facts->set_kernel(name.release);
  facts->set_architecture(MachineArchitecture());
  facts->set_operating_system(OperatingSystem(paths));
  facts->set_cgroup_version(CgroupVersion(paths));
  facts->set_reboot_required(RebootRequired(paths));
  if (auto boot = ReadFile(JoinPath(paths.proc, "sys/kernel/random/boot_id"), 256); boot.ok()) {
    facts->set_boot_id(std::string(absl::StripAsciiWhitespace(*boot)));
  }
}

}  // namespace k3saga::node
