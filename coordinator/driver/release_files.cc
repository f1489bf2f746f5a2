#include "coordinator/driver/release_files.h"

#include <absl/strings/str_cat.h>

#include <optional>

#include "common/host/files.h"
#include "common/release/files.h"
#include "common/status_macros.h"

namespace k3saga::driver {
namespace {

bool IsImages(std::string_view name) { return name.find("airgap-images") != std::string_view::npos; }

absl::StatusOr<fleet::UploadFile> Describe(const std::string& path, std::string version, std::string name) {
  fleet::UploadFile file;
  file.path = path;
  file.release_version = std::move(version);
  file.file_name = std::move(name);
  K3SAGA_ASSIGN_OR_RETURN(file.bytes, FileSize(path));
  K3SAGA_ASSIGN_OR_RETURN(file.sha256, Sha256OfFile(path));
  return file;
}

absl::Status AppendFolder(const v1::Release& release, const std::string& location,
                          std::vector<PushedFile>& files) {
  const std::string folder = JoinPath(location, release.version());
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(folder));
  bool binary = false;
  bool checksums = false;
  for (const std::string& name : names) {
    const auto architecture = release::ArchitectureOf(name);
    if (!architecture || (IsImages(name) && !release.images())) continue;
    PushedFile pushed;
    pushed.architecture = *architecture;
    K3SAGA_ASSIGN_OR_RETURN(pushed.file, Describe(JoinPath(folder, name), release.version(), name));
    files.push_back(std::move(pushed));
    checksums = checksums || name.substr(0, 9) == "sha256sum";
    binary = binary || (name.substr(0, 9) != "sha256sum" && !IsImages(name));
  }
  if (binary && checksums) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(folder, ": no ", binary ? "sha256sum-ARCH.txt" : "k3s binary",
                                          " in it; put the release's files there as GitHub names them"));
}

}  // namespace

bool PushesFiles(const v1::Release& release) {
  if (release.installer().kind() == v1::Installer::COORDINATOR) return true;
  for (const v1::ReleaseSource& source : release.sources()) {
    if (source.kind() == v1::ReleaseSource::COORDINATOR) return true;
  }
  return false;
}

absl::StatusOr<std::vector<PushedFile>> ListPushedFiles(const v1::Release& release) {
  std::vector<PushedFile> files;
  for (const v1::ReleaseSource& source : release.sources()) {
    if (source.kind() != v1::ReleaseSource::COORDINATOR) continue;
    K3SAGA_RETURN_IF_ERROR(AppendFolder(release, source.location(), files));
  }
  if (release.installer().kind() == v1::Installer::COORDINATOR) {
    const std::string& path = release.installer().location();
    PushedFile installer;
    K3SAGA_ASSIGN_OR_RETURN(installer.file, Describe(path, "", "install.sh"));
    if (!release.installer().sha256().empty() && release.installer().sha256() != installer.file.sha256) {
      return absl::FailedPreconditionError(absl::StrCat(path, ": its SHA-256 is ", installer.file.sha256,
                                                        ", the plan says ", release.installer().sha256()));
    }
    files.push_back(std::move(installer));
  }
  return files;
}

}  // namespace k3saga::driver
