#include "agent/node/keep.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <nlohmann/json.hpp>

#include "common/host/crash_point.h"
#include "common/host/files.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::node {
namespace {

using nlohmann::json;

CrashPoint kBeforeManifest("keep.before_manifest");
CrashPoint kBetweenRestores("keep.between_restores");

constexpr char kManifest[] = "manifest.json";
constexpr uint64_t kReserve = 64ull << 20;  // left free on the agent's file system

std::string ReadLink(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t size = readlink(path.c_str(), target, sizeof(target));
  return size < 0 ? "" : std::string(target, static_cast<size_t>(size));
}

bool IsSymlink(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
}

absl::Status NotKept(std::string_view rollout, std::string_view detail) {
  return ReasonError(MakeReason(v1::NOT_KEPT, rollout, detail), absl::StatusCode::kNotFound);
}

absl::Status CheckCopy(const KeptFile& file, std::string_view rollout, const std::string& folder) {
  if (file.kept_as.empty()) return absl::OkStatus();
  const auto sha = Sha256OfFile(JoinPath(folder, file.kept_as));
  if (sha.ok() && *sha == file.sha256) return absl::OkStatus();
  return NotKept(rollout, absl::StrCat("the kept copy of ", file.path, " is damaged or gone"));
}

bool IsConfiguration(const KeptFile& file, const KeptManifest& manifest) {
  return file.path == manifest.unit_file || file.path == manifest.environment_file;
}

// Names that come from a rollout's id become folders.
absl::Status CheckName(std::string_view name) {
  const bool plain =
      !name.empty() && name.front() != '.' &&
      name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
          std::string_view::npos;
  return plain ? absl::OkStatus()
               : absl::InvalidArgumentError(absl::StrCat("'", std::string(name), "' cannot name a folder"));
}

std::string_view KindName(KeptFile::Kind kind) {
  switch (kind) {
    case KeptFile::Kind::kFile:
      return "file";
    case KeptFile::Kind::kSymlink:
      return "symlink";
    case KeptFile::Kind::kAbsent:
      return "absent";
  }
  return "file";
}

KeptFile::Kind KindByName(const std::string& name) {
  if (name == "symlink") return KeptFile::Kind::kSymlink;
  return name == "absent" ? KeptFile::Kind::kAbsent : KeptFile::Kind::kFile;
}

std::string ToJson(const KeptManifest& manifest) {
  json files = json::array();
  for (const KeptFile& file : manifest.files) {
    files.push_back({{"path", file.path},
                     {"kind", KindName(file.kind)},
                     {"sha256", file.sha256},
                     {"target", file.target},
                     {"kept_as", file.kept_as}});
  }
  return json{{"rollout", manifest.rollout},
              {"unit", manifest.unit},
              {"unit_file", manifest.unit_file},
              {"environment_file", manifest.environment_file},
              {"binary", manifest.binary},
              {"data_dir", manifest.data_dir},
              {"version", manifest.version},
              {"was_running", manifest.was_running},
              {"was_enabled", manifest.was_enabled},
              {"files", files},
              {"meaning", json::parse(MeaningToJson(manifest.meaning))}}
      .dump(2);
}

absl::StatusOr<KeptManifest> FromJson(const std::string& text, const std::string& path) {
  try {
    const json parsed = json::parse(text);
    KeptManifest manifest;
    parsed.at("rollout").get_to(manifest.rollout);
    parsed.at("unit").get_to(manifest.unit);
    parsed.at("unit_file").get_to(manifest.unit_file);
    manifest.environment_file = parsed.value("environment_file", manifest.unit_file + ".env");
    parsed.at("binary").get_to(manifest.binary);
    parsed.at("data_dir").get_to(manifest.data_dir);
    parsed.at("version").get_to(manifest.version);
    parsed.at("was_running").get_to(manifest.was_running);
    parsed.at("was_enabled").get_to(manifest.was_enabled);
    for (const json& each : parsed.at("files")) {
      manifest.files.push_back({each.at("path"), KindByName(each.at("kind")), each.at("sha256"),
                                each.at("target"), each.at("kept_as")});
    }
    K3SAGA_ASSIGN_OR_RETURN(manifest.meaning, MeaningFromJson(parsed.at("meaning").dump()));
    return manifest;
  } catch (const json::exception& error) {
    return absl::DataLossError(absl::StrCat(path, ": ", error.what()));
  }
}

// Copies one path into the folder, or notes that it is a link or not there.
absl::StatusOr<KeptFile> KeepOne(const std::string& path, const std::string& folder, size_t number,
                                 Sharing sharing) {
  KeptFile kept;
  kept.path = path;
  if (IsSymlink(path)) {
    kept.kind = KeptFile::Kind::kSymlink;
    kept.target = ReadLink(path);
    return kept;
  }
  if (!Exists(path)) {
    kept.kind = KeptFile::Kind::kAbsent;
    return kept;
  }
  kept.kept_as = absl::StrCat(number, "-", BaseName(path));
  const std::string copy = JoinPath(folder, kept.kept_as);
  K3SAGA_RETURN_IF_ERROR(CopyFileDurably(path, copy, sharing));
  K3SAGA_ASSIGN_OR_RETURN(kept.sha256, Sha256OfFile(copy));
  return kept;
}

bool IsAsKept(const KeptFile& file) {
  switch (file.kind) {
    case KeptFile::Kind::kAbsent:
      return !Exists(file.path) && !IsSymlink(file.path);
    case KeptFile::Kind::kSymlink:
      return IsSymlink(file.path) && ReadLink(file.path) == file.target;
    case KeptFile::Kind::kFile:
      break;
  }
  if (IsSymlink(file.path)) return false;
  auto sha = Sha256OfFile(file.path);
  return sha.ok() && *sha == file.sha256;
}

absl::Status PutBack(const KeptFile& file, const std::string& folder) {
  switch (file.kind) {
    case KeptFile::Kind::kAbsent:
      return RemoveFileDurably(file.path);
    case KeptFile::Kind::kSymlink:
      return WriteLinkDurably(file.path, file.target);
    case KeptFile::Kind::kFile:
      break;
  }
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(DirName(file.path), 0755));
  return CopyFileDurably(JoinPath(folder, file.kept_as), file.path);
}

}  // namespace

KeptFiles::KeptFiles(StatePaths state, const Distribution& distribution)
    : state_(std::move(state)), distribution_(distribution) {}

std::string KeptFiles::Folder(std::string_view rollout) const { return JoinPath(state_.Kept(), rollout); }

absl::StatusOr<KeptManifest> KeptFiles::Keep(std::string_view rollout, const Installation& installation) {
  K3SAGA_RETURN_IF_ERROR(CheckName(rollout));
  auto before = Read(rollout);
  if (before.ok()) return before;
  if (!installation.found() || !Exists(installation.unit_file)) {
    return NotKept(rollout, "there is no unit to keep on this node");
  }
  const std::string folder = Folder(rollout);
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder));

  KeptManifest manifest;
  manifest.rollout = std::string(rollout);
  manifest.unit = installation.unit;
  manifest.unit_file = installation.unit_file;
  manifest.environment_file = installation.environment_file;
  manifest.binary = installation.binary;
  manifest.data_dir = installation.data_dir;
  manifest.version =
      installation.process.version.empty() ? installation.binary_version : installation.process.version;
  manifest.was_running = installation.process.pid != 0;
  manifest.was_enabled = installation.enabled;
  manifest.meaning = MeaningOf(installation);

  const std::vector<std::string> paths = distribution_.FilesAtStake(installation);
  uint64_t needed = kReserve;
  for (const std::string& path : paths) {
    if (auto size = FileSize(path); size.ok()) needed += *size;
  }
  K3SAGA_ASSIGN_OR_RETURN(const uint64_t free, FreeBytes(folder));
  if (free < needed) {
    return ReasonError(MakeReason(v1::DISK_SPACE, folder,
                                  absl::StrCat("keeping what is replaced needs ", needed >> 20, " MiB, ",
                                               free >> 20, " MiB are free"),
                                  "make room, or prune old backups"),
                       absl::StatusCode::kResourceExhausted);
  }
  for (size_t i = 0; i < paths.size(); ++i) {
    // The binary is about to be replaced by another file (PlaceBinary); an installer writes into the rest.
    const Sharing sharing = paths[i] == installation.binary ? Sharing::kAllowed : Sharing::kNever;
    K3SAGA_ASSIGN_OR_RETURN(KeptFile kept, KeepOne(paths[i], folder, i, sharing));
    manifest.files.push_back(std::move(kept));
  }
  // Drop-ins are nobody's to change; listed so that a person sees what applied.
  for (const std::string& drop_in : installation.drop_ins) {
    KeptFile listed{drop_in, KeptFile::Kind::kFile, "", "", ""};
    if (auto sha = Sha256OfFile(drop_in); sha.ok()) listed.sha256 = *sha;
    manifest.files.push_back(std::move(listed));
  }
  kBeforeManifest.MaybeDie();
  // Last: without it nothing was kept.
  K3SAGA_RETURN_IF_ERROR(WriteFileDurably(JoinPath(folder, kManifest), ToJson(manifest)));
  return manifest;
}

absl::StatusOr<KeptManifest> KeptFiles::Peek(std::string_view rollout) const {
  K3SAGA_RETURN_IF_ERROR(CheckName(rollout));
  const std::string path = JoinPath(Folder(rollout), kManifest);
  auto text = ReadFile(path);
  if (!text.ok()) {
    if (absl::IsNotFound(text.status()))
      return NotKept(rollout, "nothing was kept on this node for this rollout");
    return text.status();
  }
  return FromJson(*text, path);
}

absl::StatusOr<KeptManifest> KeptFiles::Read(std::string_view rollout) const {
  K3SAGA_ASSIGN_OR_RETURN(KeptManifest manifest, Peek(rollout));
  for (const KeptFile& file : manifest.files) {
    K3SAGA_RETURN_IF_ERROR(CheckCopy(file, rollout, Folder(rollout)));
  }
  return manifest;
}

absl::Status KeptFiles::Restore(std::string_view rollout, Systemd& systemd, bool* changed) {
  K3SAGA_ASSIGN_OR_RETURN(const KeptManifest manifest, Read(rollout));
  K3SAGA_RETURN_IF_ERROR(RestoreFiles(manifest, systemd, changed));
  return manifest.was_enabled ? EnableIfLost(manifest, systemd) : absl::OkStatus();
}

absl::Status KeptFiles::RestoreStandingStill(std::string_view rollout, Systemd& systemd) {
  K3SAGA_ASSIGN_OR_RETURN(const KeptManifest manifest, Read(rollout));
  return RestoreFiles(manifest, systemd, nullptr);
}

absl::Status KeptFiles::RestoreFiles(const KeptManifest& manifest, Systemd& systemd, bool* changed) {
  bool any = false;
  for (const KeptFile& file : manifest.files) {
    const bool only_listed = file.kind == KeptFile::Kind::kFile && file.kept_as.empty();
    if (only_listed || IsAsKept(file)) continue;
    K3SAGA_RETURN_IF_ERROR(PutBack(file, Folder(manifest.rollout)));
    any = true;
    kBetweenRestores.MaybeDie();
  }
  for (const std::string& images : distribution_.ImageArchives(manifest.data_dir)) {
    const bool ours = std::none_of(manifest.files.begin(), manifest.files.end(),
                                   [&](const KeptFile& file) { return file.path == images; });
    // An archive that the install brought: k3s would load it again.
    if (ours) K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(images));
  }
  // Also when nothing was to be put back: a run before this one may have died between the files and the
  // reload.
  if (changed != nullptr) *changed = any;
  return systemd.DaemonReload();
}

absl::Status KeptFiles::RestoreConfiguration(std::string_view rollout, Systemd& systemd) {
  K3SAGA_ASSIGN_OR_RETURN(const KeptManifest manifest, Peek(rollout));
  bool any = false;
  for (const KeptFile& file : manifest.files) {
    if (!IsConfiguration(file, manifest) || IsAsKept(file)) continue;
    K3SAGA_RETURN_IF_ERROR(CheckCopy(file, rollout, Folder(rollout)));
    K3SAGA_RETURN_IF_ERROR(PutBack(file, Folder(rollout)));
    any = true;
  }
  if (any) K3SAGA_RETURN_IF_ERROR(systemd.DaemonReload());
  return manifest.was_enabled ? EnableIfLost(manifest, systemd) : absl::OkStatus();
}

absl::Status KeptFiles::EnableIfLost(const KeptManifest& manifest, Systemd& systemd) {
  K3SAGA_ASSIGN_OR_RETURN(const std::string enabled, systemd.IsEnabled(manifest.unit));
  return enabled == "enabled" ? absl::OkStatus() : systemd.Enable(manifest.unit);
}

absl::StatusOr<std::string> KeptFiles::KeptCopy(std::string_view rollout, std::string_view path) const {
  K3SAGA_ASSIGN_OR_RETURN(const KeptManifest manifest, Peek(rollout));
  for (const KeptFile& file : manifest.files) {
    if (file.path != path || file.kept_as.empty()) continue;
    K3SAGA_RETURN_IF_ERROR(CheckCopy(file, rollout, Folder(rollout)));
    return JoinPath(Folder(rollout), file.kept_as);
  }
  return absl::NotFoundError(absl::StrCat("rollout ", std::string(rollout), " kept no ", std::string(path)));
}

absl::StatusOr<bool> KeptFiles::RepairMissingUnit(Systemd& systemd) {
  std::vector<std::string> rollouts = Rollouts();
  for (auto rollout = rollouts.rbegin(); rollout != rollouts.rend(); ++rollout) {
    const auto manifest = Peek(*rollout);
    if (!manifest.ok()) continue;
    bool missing = false;
    bool sound = true;
    for (const KeptFile& file : manifest->files) {
      if (!IsConfiguration(file, *manifest)) continue;
      missing = missing || (file.kind == KeptFile::Kind::kFile && !Exists(file.path));
      sound = sound && CheckCopy(file, *rollout, Folder(*rollout)).ok();
    }
    if (!sound) continue;
    if (!missing) return false;
    K3SAGA_RETURN_IF_ERROR(RestoreConfiguration(*rollout, systemd));
    return true;
  }
  return false;
}

std::vector<std::string> KeptFiles::Rollouts() const {
  auto names = ListDirectory(state_.Kept());
  std::vector<std::string> rollouts;
  if (!names.ok()) return rollouts;
  for (const std::string& name : *names) {
    if (Exists(JoinPath(Folder(name), kManifest))) rollouts.push_back(name);
  }
  return rollouts;  // ids sort by time
}

absl::Status KeptFiles::Prune(size_t count, std::string_view except) {
  const std::vector<std::string> rollouts = Rollouts();
  for (size_t i = 0; i + count < rollouts.size(); ++i) {
    if (rollouts[i] == except) continue;
    // The manifest first: a folder that is half gone is no kept rollout.
    K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(JoinPath(Folder(rollouts[i]), kManifest)));
    K3SAGA_RETURN_IF_ERROR(RemoveTree(Folder(rollouts[i])));
  }
  return absl::OkStatus();
}

}  // namespace k3saga::node
