#include "agent/node/snapshot.h"

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/host/clock.h"
#include "common/host/files.h"
#include "common/host/process.h"
#include "common/reason.h"
#include "common/status_macros.h"
#include "common/version.h"

namespace k3saga::node {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr char kManifest[] = "manifest.json";
constexpr uint64_t kHashSize = 32;   // SHA-256
constexpr uint64_t kPageSize = 512;  // etcd's database is a multiple of it; the hash comes on top
constexpr int kSqlitePagesAtOnce = 256;

absl::Status SnapshotFailed(std::string_view subject, std::string_view detail, std::string_view remedy = "") {
  return ReasonError(MakeReason(v1::SNAPSHOT_FAILED, subject, detail, remedy));
}

absl::Status CheckName(std::string_view name) {
  const bool plain =
      !name.empty() && name.front() != '.' && name.size() < 128 &&
      name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
          std::string_view::npos;
  return plain ? absl::OkStatus()
               : absl::InvalidArgumentError(
                     absl::StrCat("'", std::string(name), "' cannot name a backup or its file"));
}

std::string SnapshotFolder(const Installation& node) {
  for (const Flag& setting : node.settings) {
    if (setting.name == "etcd-snapshot-dir" || setting.name == "--etcd-snapshot-dir") return setting.value;
  }
  return node.data_dir + "/server/db/snapshots";
}

// k3s adds the node's name and the time to what it was told; ours is unique.
std::vector<std::string> SnapshotsNamed(const std::string& folder, const std::string& name) {
  std::vector<std::string> found;
  auto files = ListDirectory(folder);
  if (!files.ok()) return found;
  for (const std::string& file : *files) {
    if (absl::StartsWith(file, name)) found.push_back(JoinPath(folder, file));
  }
  return found;
}

// Takes the snapshot and moves it into the backup's folder; returns its name there.
absl::StatusOr<std::string> TakeEtcdSnapshot(const Installation& node, const BackupOptions& options,
                                             const std::string& folder) {
  const std::string name = "k3saga-" + options.id;
  const std::string snapshots = SnapshotFolder(node);
  // Left by a try that died after the command: not trusted, it may be half a file.
  for (const std::string& old : SnapshotsNamed(snapshots, name))
    K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(old));
  auto result = Run(
      {.argv = SnapshotCommand(node, name), .environment = PlainEnvironment(), .deadline = options.deadline});
  if (!result.ok()) return SnapshotFailed(node.node_name, std::string(result.status().message()));
  if (!result->ok())
    return SnapshotFailed(node.node_name, absl::StrCat("k3s etcd-snapshot: ", result->Describe()));
  const std::vector<std::string> taken = SnapshotsNamed(snapshots, name);
  if (taken.size() != 1) {
    return SnapshotFailed(node.node_name, absl::StrCat("k3s etcd-snapshot said it succeeded, but ", snapshots,
                                                       " holds ", taken.size(), " files named ", name, "*"));
  }
  const std::string file = BaseName(taken[0]);
  if (!absl::EndsWith(file, ".zip")) {
    if (auto status = VerifyEtcdSnapshot(taken[0]); !status.ok()) {
      return SnapshotFailed(node.node_name, std::string(status.message()));
    }
  }
  K3SAGA_RETURN_IF_ERROR(ReplaceFileDurably(taken[0], JoinPath(folder, file), 0600));
  // k3s never prunes what was asked for by hand.
  K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(taken[0]));
  return file;
}

absl::StatusOr<std::string> TakeSqliteCopy(const Installation& node, const BackupOptions& options,
                                           const std::string& folder) {
  const std::string name = "state.db";
  const std::string copy = JoinPath(folder, name);
  for (const char* ending : {"", "-wal", "-shm", "-journal"})
    K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(copy + ending));
  const absl::Status status = CopySqliteOnline(node.data_dir + "/server/db/state.db", copy, options.deadline);
  if (!status.ok()) return SnapshotFailed(node.node_name, std::string(status.message()));
  if (chmod(copy.c_str(), 0600) != 0) return absl::InternalError("cannot set the mode of " + copy);
  return name;
}

// What a restore needs besides the datastore. Missing ones are simply not there.
void CopyBesides(const Installation& node, const std::string& folder) {
  const std::pair<std::string, std::string> files[] = {{node.token_file, "token"},
                                                       {node.unit_file, "unit"},
                                                       {node.environment_file, "environment"},
                                                       {node.config_file, "config.yaml"}};
  for (const auto& [from, name] : files) {
    if (!from.empty() && Exists(from)) (void)ReplaceFileDurably(from, JoinPath(folder, name), 0600);
  }
}

absl::StatusOr<json> DescribeFiles(const std::string& folder) {
  json files = json::object();
  K3SAGA_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(folder));
  for (const std::string& name : names) {
    if (name == kManifest) continue;
    K3SAGA_ASSIGN_OR_RETURN(files[name]["sha256"], Sha256OfFile(JoinPath(folder, name)));
    K3SAGA_ASSIGN_OR_RETURN(files[name]["bytes"], FileSize(JoinPath(folder, name)));
  }
  return files;
}

}  // namespace

BackupStore::BackupStore(StatePaths state) : state_(std::move(state)) {}

std::vector<std::string> SnapshotCommand(const Installation& node, std::string_view name) {
  std::vector<std::string> argv = {node.binary, "etcd-snapshot"};
  auto version = Version::Parse(node.binary_version);
  const bool has_subcommands = !version.ok() || version->major() > 1 || version->minor() > 20;
  if (has_subcommands) argv.emplace_back("save");
  argv.insert(argv.end(), {"--name", std::string(name), "--data-dir", node.data_dir});
  return argv;
}

absl::Status VerifyEtcdSnapshot(const std::string& path) {
  K3SAGA_ASSIGN_OR_RETURN(const uint64_t size, FileSize(path));
  if (size <= kHashSize || size % kPageSize != kHashSize) {
    return absl::DataLossError(absl::StrCat(path, " (", size, " bytes) is no complete etcd snapshot"));
  }
  K3SAGA_ASSIGN_OR_RETURN(const std::string hash, ReadTail(path, kHashSize));
  K3SAGA_ASSIGN_OR_RETURN(const std::string sha256, Sha256OfPrefix(path, size - kHashSize));
  if (absl::BytesToHexString(hash) == sha256) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, " is damaged: it does not match the hash in its tail"));
}

absl::Status CopySqliteOnline(const std::string& from, const std::string& to, milliseconds deadline) {
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
  };
  auto open = [](const std::string& path, int flags) -> absl::StatusOr<std::unique_ptr<sqlite3, Close>> {
    sqlite3* database = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
    std::unique_ptr<sqlite3, Close> owned(database);
    if (code != SQLITE_OK)
      return absl::InternalError(absl::StrCat("cannot open ", path, ": ", sqlite3_errstr(code)));
    sqlite3_busy_timeout(database, 1000);
    return owned;
  };
  K3SAGA_ASSIGN_OR_RETURN(auto source, open(from, SQLITE_OPEN_READONLY));
  K3SAGA_ASSIGN_OR_RETURN(auto target, open(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  const SystemClock clock;
  const milliseconds end = clock.Steady() + deadline;
  sqlite3_backup* backup = sqlite3_backup_init(target.get(), "main", source.get(), "main");
  if (backup == nullptr)
    return absl::InternalError(absl::StrCat("cannot copy ", from, ": ", sqlite3_errmsg(target.get())));
  int code = SQLITE_OK;
  while (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED) {
    if (clock.Steady() >= end) break;
    code = sqlite3_backup_step(backup, kSqlitePagesAtOnce);
    // Let the writer in; a change of its makes SQLite copy again.
    if (code != SQLITE_DONE) sqlite3_sleep(code == SQLITE_OK ? 1 : 20);
  }
  sqlite3_backup_finish(backup);
  if (code != SQLITE_DONE)
    return absl::InternalError(absl::StrCat("cannot copy ", from, ": ", sqlite3_errstr(code)));
  bool sound = false;
  auto see = [](void* user, int, char** values, char**) {
    *static_cast<bool*>(user) = values[0] != nullptr && std::string_view(values[0]) == "ok";
    return 0;
  };
  sqlite3_exec(target.get(), "PRAGMA quick_check(1)", see, &sound, nullptr);
  return sound ? absl::OkStatus() : absl::DataLossError(absl::StrCat("the copy of ", from, " is damaged"));
}

absl::StatusOr<v1::BackupResult> BackupStore::Take(const Installation& node, const BackupOptions& options) {
  K3SAGA_RETURN_IF_ERROR(CheckName(options.id));
  if (auto before = Find(options.id); before.ok()) return before;
  if (node.role != v1::ROLE_SERVER)
    return SnapshotFailed(node.node_name, "not a server: it has no datastore");
  const std::string folder = JoinPath(state_.Backups(), options.id);
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder));
  std::string datastore;
  switch (node.datastore) {
    case v1::DATASTORE_EMBEDDED_ETCD: {
      K3SAGA_ASSIGN_OR_RETURN(datastore, TakeEtcdSnapshot(node, options, folder));
      break;
    }
    case v1::DATASTORE_SQLITE: {
      K3SAGA_ASSIGN_OR_RETURN(datastore, TakeSqliteCopy(node, options, folder));
      break;
    }
    default:
      return SnapshotFailed(node.node_name, "the datastore is external",
                            "back it up with the database's own tools");
  }
  CopyBesides(node, folder);
  K3SAGA_ASSIGN_OR_RETURN(json files, DescribeFiles(folder));
  const std::string version = node.process.version.empty() ? node.binary_version : node.process.version;
  const json manifest = {{"id", options.id},
                         {"taken_unix_ms", SystemClock().WallUnixMillis()},
                         {"rollout", options.rollout},
                         {"node", node.node_name},
                         {"cluster_id", node.cluster_id},
                         {"version", version},
                         {"datastore", v1::Datastore_Name(node.datastore)},
                         {"datastore_file", datastore},
                         {"files", files}};
  // Last: a folder without it is no backup.
  K3SAGA_RETURN_IF_ERROR(WriteFileDurably(JoinPath(folder, kManifest), manifest.dump(2)));
  if (options.keep > 0) K3SAGA_RETURN_IF_ERROR(Prune(options.keep));
  return Find(options.id);
}

absl::StatusOr<v1::BackupResult> BackupStore::Find(std::string_view id) const {
  K3SAGA_RETURN_IF_ERROR(CheckName(id));
  const std::string folder = JoinPath(state_.Backups(), id);
  K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(JoinPath(folder, kManifest)));
  try {
    const json manifest = json::parse(text);
    v1::BackupResult result;
    result.set_id(std::string(id));
    result.set_path(folder);
    result.set_version(manifest.at("version").get<std::string>());
    result.set_taken_unix_ms(manifest.at("taken_unix_ms").get<int64_t>());
    const std::string datastore = manifest.at("datastore_file");
    for (const auto& [name, file] : manifest.at("files").items()) {
      K3SAGA_RETURN_IF_ERROR(CheckName(name));
      auto sha = Sha256OfFile(JoinPath(folder, name));
      if (!sha.ok() || *sha != file.at("sha256").get<std::string>()) {
        return absl::DataLossError(absl::StrCat(folder, "/", name, " is damaged or gone"));
      }
      if (name != datastore) continue;
      result.set_bytes(file.at("bytes").get<uint64_t>());
      result.set_sha256(*sha);
    }
    return result;
  } catch (const json::exception& error) {
    return absl::DataLossError(absl::StrCat(folder, "/", kManifest, ": ", error.what()));
  }
}

std::vector<std::string> BackupStore::Ids() const {
  std::vector<std::pair<int64_t, std::string>> dated;
  auto names = ListDirectory(state_.Backups());
  if (!names.ok()) return {};
  for (const std::string& name : *names) {
    auto text = ReadFile(JoinPath(JoinPath(state_.Backups(), name), kManifest));
    if (!text.ok()) continue;
    const json manifest = json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!manifest.is_discarded()) dated.emplace_back(manifest.value("taken_unix_ms", int64_t{0}), name);
  }
  std::sort(dated.begin(), dated.end());
  std::vector<std::string> ids;
  for (auto& [time, id] : dated) ids.push_back(std::move(id));
  return ids;
}

absl::StatusOr<v1::StoredBackup> BackupStore::Describe(std::string_view id) const {
  K3SAGA_RETURN_IF_ERROR(CheckName(id));
  const std::string folder = JoinPath(state_.Backups(), id);
  K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(JoinPath(folder, kManifest)));
  try {
    const json manifest = json::parse(text);
    const json& file = manifest.at("files").at(manifest.at("datastore_file").get<std::string>());
    v1::StoredBackup backup;
    backup.set_id(std::string(id));
    backup.set_version(manifest.at("version").get<std::string>());
    backup.set_bytes(file.at("bytes").get<uint64_t>());
    backup.set_sha256(file.at("sha256").get<std::string>());
    backup.set_path(folder);
    backup.set_taken_unix_ms(manifest.at("taken_unix_ms").get<int64_t>());
    v1::Datastore datastore = v1::DATASTORE_UNSPECIFIED;
    (void)v1::Datastore_Parse(manifest.at("datastore").get<std::string>(), &datastore);
    backup.set_datastore(datastore);
    backup.set_cluster_id(manifest.value("cluster_id", ""));
    backup.set_rollout(manifest.value("rollout", ""));
    return backup;
  } catch (const json::exception& error) {
    return absl::DataLossError(absl::StrCat(folder, "/", kManifest, ": ", error.what()));
  }
}

std::vector<v1::StoredBackup> BackupStore::List() const {
  std::vector<v1::StoredBackup> backups;
  for (const std::string& id : Ids()) {
    auto backup = Describe(id);
    if (backup.ok()) backups.push_back(*std::move(backup));
  }
  std::reverse(backups.begin(), backups.end());
  return backups;
}

absl::StatusOr<std::string> BackupStore::DatastorePath(std::string_view id) const {
  K3SAGA_RETURN_IF_ERROR(CheckName(id));
  const std::string folder = JoinPath(state_.Backups(), id);
  K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(JoinPath(folder, kManifest)));
  const json manifest = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const std::string name = manifest.is_object() ? manifest.value("datastore_file", "") : "";
  K3SAGA_RETURN_IF_ERROR(CheckName(name));
  return JoinPath(folder, name);
}

absl::StatusOr<std::string> BackupStore::FilePath(std::string_view id, std::string_view file_name) const {
  K3SAGA_RETURN_IF_ERROR(CheckName(id));
  K3SAGA_RETURN_IF_ERROR(CheckName(file_name));
  std::string path = JoinPath(JoinPath(state_.Backups(), id), file_name);
  if (!Exists(path))
    return absl::NotFoundError(absl::StrCat("backup ", std::string(id), " has no ", std::string(file_name)));
  return path;
}

absl::Status BackupStore::Prune(uint32_t keep) {
  const std::vector<std::string> ids = Ids();
  for (size_t i = 0; i + keep < ids.size(); ++i) {
    const std::string folder = JoinPath(state_.Backups(), ids[i]);
    K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(JoinPath(folder, kManifest)));
    K3SAGA_RETURN_IF_ERROR(RemoveTree(folder));
  }
  return absl::OkStatus();
}

}  // namespace k3saga::node
