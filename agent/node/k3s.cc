#include "agent/node/k3s.h"

#include "agent/node/images.h"
#include "agent/node/k3s_installer.h"
#include "agent/node/k3s_reader.h"
#include "agent/node/unpack.h"
#include "common/host/files.h"

namespace k3saga::node {
namespace {

class K3sDistribution final : public Distribution {
 public:
  std::string_view name() const override { return kK3s; }

  Installation Read(const HostPaths& paths, Systemd& systemd, ProcessInspector& processes) const override {
    return ReadK3s(paths, systemd, processes);
  }

  std::string DataDirectory(const HostPaths& paths) const override { return K3sDataDirectory(paths); }

  release::Files FilesOfRelease(std::string_view architecture) const override {
    return release::FilesOf(architecture);
  }

  std::vector<std::string> FilesAtStake(const Installation& installation) const override {
    const std::string bin = DirName(installation.binary);
    const std::string stem = installation.unit.substr(0, installation.unit.rfind('.'));
    std::vector<std::string> files = {installation.binary,
                                      installation.unit_file,
                                      installation.environment_file,
                                      JoinPath(bin, "k3s-killall.sh"),
                                      JoinPath(bin, stem + "-uninstall.sh"),
                                      JoinPath(bin, "kubectl"),
                                      JoinPath(bin, "crictl"),
                                      JoinPath(bin, "ctr")};
    for (const std::string& images : ImageArchives(installation.data_dir)) files.push_back(images);
    return files;
  }

  std::vector<std::string> ImageArchives(const std::string& data_dir) const override {
    return node::ImageArchives(data_dir);
  }

  absl::Status PlaceImages(const std::string& staged, const Installation& installation) const override {
    return node::PlaceImages(staged, installation.data_dir);
  }

  absl::Status Unpack(const std::string& staged, const Installation& installation,
                      std::chrono::milliseconds deadline) const override {
    return UnpackK3s(staged, installation.data_dir, deadline);
  }

  absl::StatusOr<InstallerCall> PlanInstaller(const Installation& installation,
                                              std::string_view script) const override {
    return node::PlanInstaller(installation, script);
  }

  absl::Status MendEnvironment(const ConfigurationMeaning& before, const std::string& kept_environment_file,
                               const Installation& after) const override {
    return node::MendEnvironment(before, kept_environment_file, after);
  }

  std::vector<std::string> Compare(const ConfigurationMeaning& before,
                                   const ConfigurationMeaning& after) const override {
    return CompareMeaning(before, after);
  }
};

}  // namespace

const Distribution& K3s() {
  static const K3sDistribution k3s;
  return k3s;
}

}  // namespace k3saga::node
