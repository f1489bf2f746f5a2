#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/systemd/hosts.h"

namespace k3saga::hosts {

// Where the hosts of a test see things of this machine (read-only).
inline constexpr char kReleasesOnHost[] = "/opt/releases";
inline constexpr char kInstallerOnHost[] = "/opt/installer/install.sh";
inline constexpr char kPackagesOnHost[] = "/opt/packages";

// What k3s is on the hosts: released binaries with k3s's own installer, or the lab's simulated ones with a
// stand-in. Both are installed the same way, as a user would: binary in place, installer with flags and
// variables.
class K3sSource {
 public:
  virtual ~K3sSource() = default;

  virtual std::string Releases()
      const = 0;  // folder on this machine: VERSION/k3s, VERSION/sha256sum-ARCH.txt
  virtual std::string InstallerFolder() const = 0;  // holds install.sh
  // Before k3s is installed on a booted host.
  virtual absl::Status Prepare(const Hosts& hosts, std::string_view name) const = 0;
  virtual std::vector<std::string> Flags(bool server) const = 0;
  // An image that every node has, for pods that stay.
  virtual std::string PodImage() const = 0;
};

struct RealK3sOptions {
  std::string releases;
  std::string installer;  // a file
  // Image archives (images/*.tar*) in the releases' folder are imported by k3s; this names one of their
  // images.
  std::string pod_image = "rancher/pause:3.1";
};
absl::StatusOr<std::unique_ptr<K3sSource>> UseRealK3s(const RealK3sOptions& options);

struct SimulatedK3sOptions {
  std::vector<std::string> versions;
  // Faults built into one of them (lab/control/faults.h), as JSON.
  std::string faulty_version = "";
  std::string faults = "{}";
};
absl::StatusOr<std::unique_ptr<K3sSource>> UseSimulatedK3s(const SimulatedK3sOptions& options);

}  // namespace k3saga::hosts
