#include "coordinator/driver/backup_copies.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/host/files.h"
#include "common/status_macros.h"
#include "coordinator/driver/backup_copy.h"

namespace k3saga::driver {
namespace {

using nlohmann::json;

constexpr char kManifest[] = "manifest.json";
constexpr char kBackupUploads[] = "backup/";  // UploadChunk.release_version, before the backup's id

// Throws json::exception where it is not what BackupCopy wrote.
CopiedBackup Describe(const json& manifest, const std::string& id, const std::string& path) {
  CopiedBackup copy{manifest.value("node", ""), path, {}};
  v1::StoredBackup& backup = copy.backup;
  backup.set_id(id);
  backup.set_path(path);
  backup.set_version(manifest.value("version", ""));
  backup.set_taken_unix_ms(manifest.value("taken_unix_ms", int64_t{0}));
  backup.set_cluster_id(manifest.value("cluster_id", ""));
  backup.set_rollout(manifest.value("rollout", ""));
  v1::Datastore datastore = v1::DATASTORE_UNSPECIFIED;
  (void)v1::Datastore_Parse(manifest.value("datastore", ""), &datastore);
  backup.set_datastore(datastore);
  const json files = manifest.value("files", json::object());
  const json file = files.value(manifest.value("datastore_file", ""), json::object());
  backup.set_bytes(file.value("bytes", uint64_t{0}));
  backup.set_sha256(file.value("sha256", ""));
  return copy;
}

}  // namespace

std::vector<CopiedBackup> ListCopies(const std::string& folder) {
  std::vector<CopiedBackup> copies;
  const auto names = ListDirectory(folder);
  if (!names.ok()) return copies;
  for (const std::string& name : *names) {
    const std::string path = JoinPath(folder, name);
    const auto text = ReadFile(JoinPath(path, kManifest));
    if (!text.ok()) continue;
    const json manifest = json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!manifest.is_object()) continue;
    try {
      copies.push_back(Describe(manifest, name, path));
    } catch (const json::exception&) {
      continue;  // not what BackupCopy wrote
    }
  }
  std::sort(copies.begin(), copies.end(), [](const CopiedBackup& a, const CopiedBackup& b) {
    return a.backup.taken_unix_ms() > b.backup.taken_unix_ms();
  });
  return copies;
}

absl::StatusOr<std::vector<PushedFile>> FilesOfCopy(const std::string& folder, std::string_view id) {
  const std::vector<CopiedBackup> copies = ListCopies(folder);
  const auto found = std::find_if(copies.begin(), copies.end(),
                                  [&](const CopiedBackup& copy) { return copy.backup.id() == id; });
  if (found == copies.end()) {
    return absl::NotFoundError(absl::StrCat(folder, " has no copy of backup ", std::string(id)));
  }
  const std::string manifest = JoinPath(found->path, kManifest);
  K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(manifest));
  K3SAGA_ASSIGN_OR_RETURN(std::vector<BackupFile> files, ParseBackupManifest(text));
  files.push_back({kManifest, Sha256Of(text)});
  std::vector<PushedFile> pushed;
  for (const BackupFile& file : files) {
    const std::string path = JoinPath(found->path, file.name);
    const auto hash = Sha256OfFile(path);
    const auto bytes = FileSize(path);
    if (!hash.ok() || *hash != file.sha256 || !bytes.ok()) {
      return absl::DataLossError(absl::StrCat(path, " is damaged or gone"));
    }
    pushed.push_back({{.path = path,
                       .sha256 = file.sha256,
                       .bytes = *bytes,
                       .release_version = absl::StrCat(kBackupUploads, found->backup.id()),
                       .file_name = file.name},
                      ""});
  }
  return pushed;
}

absl::Status VerifyCopy(const std::string& folder, std::string_view id) {
  return FilesOfCopy(folder, id).status();
}

absl::Status PruneCopies(const std::string& folder, uint32_t keep, std::string_view except) {
  if (keep == 0) return absl::OkStatus();
  const std::vector<CopiedBackup> copies = ListCopies(folder);
  absl::Status first;
  for (size_t i = keep; i < copies.size(); ++i) {
    if (copies[i].backup.id() == except) continue;
    // The manifest first: a folder that is half gone is no copy.
    absl::Status removed = RemoveFileDurably(JoinPath(copies[i].path, kManifest));
    if (removed.ok()) removed = RemoveTree(copies[i].path);
    first.Update(removed);
  }
  return first;
}

}  // namespace k3saga::driver
