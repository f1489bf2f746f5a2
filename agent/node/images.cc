#include "agent/node/images.h"

#include <absl/strings/match.h>

#include "common/host/files.h"
#include "common/status_macros.h"

namespace k3saga::node {
namespace {

constexpr char kPrefix[] = "k3s-airgap-images-";

std::string FolderOf(const std::string& data_dir) { return JoinPath(data_dir, "agent/images"); }

}  // namespace

std::vector<std::string> ImageArchives(const std::string& data_dir) {
  std::vector<std::string> archives;
  auto names = ListDirectory(FolderOf(data_dir));
  if (!names.ok()) return archives;
  for (const std::string& name : *names) {
    if (absl::StartsWith(name, kPrefix)) archives.push_back(JoinPath(FolderOf(data_dir), name));
  }
  return archives;
}

absl::Status PlaceImages(const std::string& staged, const std::string& data_dir) {
  const std::string target = JoinPath(FolderOf(data_dir), BaseName(staged));
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(FolderOf(data_dir), 0755));
  K3SAGA_RETURN_IF_ERROR(CopyFileDurably(staged, target));
  for (const std::string& archive : ImageArchives(data_dir)) {
    if (archive != target) K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(archive));
  }
  return absl::OkStatus();
}

}  // namespace k3saga::node
