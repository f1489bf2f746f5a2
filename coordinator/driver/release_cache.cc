#include "coordinator/driver/release_cache.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "common/host/clock.h"
#include "common/host/files.h"
#include "common/host/log.h"
#include "common/host/secrets.h"
#include "common/reason.h"
#include "common/release/download.h"
#include "common/release/fetch.h"
#include "common/release/files.h"
#include "common/status_macros.h"
#include "common/version.h"

namespace k3saga::driver {
namespace {

using std::chrono::milliseconds;

constexpr char kThisMachine[] = "the machine that runs k3saga";
constexpr char kInstallerName[] = "install.sh";
constexpr size_t kHashLetters = 16;

milliseconds Now() { return SystemClock().Steady(); }

absl::Status Unavailable(const std::string& version, std::string_view detail) {
  return ReasonError(MakeReason(v1::RELEASE_UNAVAILABLE, version, detail), absl::StatusCode::kNotFound);
}

// What failed, and what to do about it.
absl::Status Explained(const absl::Status& error, const std::string& subject) {
  const absl::Status typed = release::TransferError(error, subject, kThisMachine);
  v1::Reason reason = ReasonOf(typed, subject);
  if (reason.code() == v1::DOWNLOAD_FAILED || reason.code() == v1::TIMED_OUT) {
    reason.set_remedy(
        "does this machine reach it, and is the source in cluster.yaml right? What has come so far is "
        "kept: the next try goes on with it");
  } else if (reason.code() == v1::RELEASE_UNAVAILABLE) {
    reason.set_remedy("is there such a release, and is the source in cluster.yaml right?");
  }
  return ReasonError(reason, typed.code());
}

struct Used {
  std::string version;
  timespec when;
};

// The ones used last stay. One that cannot be removed is no reason to stop.
void Prune(const std::string& source) {
  std::vector<Used> versions;
  const auto names = ListDirectory(source);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    struct stat info {};
    if (!Version::Parse(name).ok() || stat(JoinPath(source, name).c_str(), &info) != 0) continue;
    versions.push_back({name, info.st_mtim});
  }
  std::sort(versions.begin(), versions.end(), [](const Used& a, const Used& b) {
    return std::pair(a.when.tv_sec, a.when.tv_nsec) > std::pair(b.when.tv_sec, b.when.tv_nsec);
  });
  for (size_t i = ReleaseCache::kVersionsKept; i < versions.size(); ++i) {
    if (const absl::Status gone = RemoveTree(JoinPath(source, versions[i].version)); !gone.ok()) {
      LogWarning(std::string(gone.message()));
    }
  }
}

// A small text, whole each time: going on with one of two versions of it would make nonsense. The one from
// before serves where the source is out of reach.
absl::Status FetchText(const std::string& url, const std::string& path, release::DownloadOptions options) {
  const std::string partial = path + ".part";
  const bool from_before = Exists(path);
  if (from_before) {
    options.deadline = std::min<milliseconds>(options.deadline, ReleaseCache::kChecksumPatience);
  }
  K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(partial));
  absl::Status fetched = release::Download(url, partial, options);
  if (fetched.ok()) return RenameDurably(partial, path);
  if (!from_before || absl::IsCancelled(fetched)) return fetched;
  LogWarning(absl::StrCat(std::string(fetched.message()), "; going on with what was fetched earlier"));
  return absl::OkStatus();
}

// Of a small file, without leaving anything behind.
absl::StatusOr<std::string> Peek(const std::string& url, uint64_t size_cap, milliseconds end) {
  std::string folder = "/tmp/k3saga-look-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    return absl::ErrnoToStatus(errno, "cannot make a folder in /tmp");
  }
  const absl::Cleanup gone = [&] {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  };
  const std::string path = JoinPath(folder, "file");
  release::DownloadOptions options;
  options.deadline = end - Now();
  options.size_cap = size_cap;
  K3SAGA_RETURN_IF_ERROR(release::Download(url, path, options));
  return ReadFile(path, size_cap);
}

absl::Status FolderMissing(const std::string& folder) {
  return absl::NotFoundError(
      absl::StrCat(folder, ": no such folder; put the release's files there as GitHub names them"));
}

// A look that failed, and which line of which file to look at.
v1::Reason Missing(const absl::Status& error, const std::string& subject, const std::string& line,
                   const std::string& file) {
  v1::Reason reason = ReasonOf(release::TransferError(error, subject, kThisMachine), subject);
  std::string first;
  if (reason.code() == v1::RELEASE_UNAVAILABLE) first = "is there such a release, and ";
  if (reason.code() == v1::DOWNLOAD_FAILED || reason.code() == v1::TIMED_OUT) {
    first = "does this machine reach it, and ";
  }
  reason.set_remedy(absl::StrCat(first, "is ", line, " in ", file, " right?"));
  return reason;
}

}  // namespace

struct ReleaseCache::Fetching {
  std::string url;
  std::string version;
  std::string folder;  // for this version
  bool images;
  const FetchMoved& moved;
  milliseconds end;

  release::DownloadOptions Options(const std::string& file) const {
    release::DownloadOptions options;
    options.deadline = end - Now();
    options.keep_free = release::kKeepFree;
    options.progress = [this, file](uint64_t done, uint64_t total) { return moved(file, done, total); };
    return options;
  }

  absl::StatusOr<std::string> Checksums(const std::string& name) const {
    const std::string path = JoinPath(folder, name);
    release::DownloadOptions options = Options(name);
    options.size_cap = release::kChecksumFileCap;
    K3SAGA_RETURN_IF_ERROR(FetchText(release::UrlOf(url, version, name), path, std::move(options)));
    return ReadFile(path, release::kChecksumFileCap);
  }

  absl::Status File(const std::string& name, const std::string& sha256) const {
    return release::FetchVerified(
        {.name = name, .sha256 = sha256, .path = JoinPath(folder, name), .source = MaskUrl(url)},
        [&](const std::string& partial) {
          return release::Download(release::UrlOf(url, version, name), partial, Options(name));
        });
  }

  // What of the release a node needs, with the hashes that its checksum file has for it.
  absl::StatusOr<std::vector<std::pair<std::string, std::string>>> Needed(
      const release::Files& files, const std::string& checksums) const {
    K3SAGA_ASSIGN_OR_RETURN(const std::string sha256, release::FindChecksum(checksums, files.binary));
    if (sha256.empty()) {
      return Unavailable(version,
                         absl::StrCat(MaskUrl(url), ": ", files.checksums, " does not name ", files.binary));
    }
    std::vector<std::pair<std::string, std::string>> needed = {{files.binary, sha256}};
    if (!images) return needed;
    auto archive = release::FindImages(checksums, files.images);
    if (!archive.ok()) {
      return Unavailable(version, absl::StrCat(MaskUrl(url), ": ", std::string(archive.status().message())));
    }
    needed.push_back(*std::move(archive));
    return needed;
  }

  absl::Status Architecture(const std::string& architecture) const {
    const release::Files files = release::FilesOf(architecture);
    K3SAGA_ASSIGN_OR_RETURN(const std::string checksums, Checksums(files.checksums));
    K3SAGA_ASSIGN_OR_RETURN(const auto needed, Needed(files, checksums));
    for (const auto& [name, sha256] : needed) K3SAGA_RETURN_IF_ERROR(File(name, sha256));
    return absl::OkStatus();
  }

  // Whether Architecture() would do: the source tells or, where it does not, everything is here already.
  absl::Status Look(const std::string& architecture) const {
    const release::Files files = release::FilesOf(architecture);
    const auto told = Peek(release::UrlOf(url, version, files.checksums), release::kChecksumFileCap, end);
    if (told.ok()) return Needed(files, *told).status();
    const auto from_before = ReadFile(JoinPath(folder, files.checksums), release::kChecksumFileCap);
    if (!from_before.ok()) return told.status();
    K3SAGA_ASSIGN_OR_RETURN(const auto needed, Needed(files, *from_before));
    for (const auto& [name, sha256] : needed) {
      const auto have = Sha256OfFile(JoinPath(folder, name));
      if (!have.ok() || *have != sha256) return told.status();
    }
    return absl::OkStatus();
  }
};

ReleaseCache::ReleaseCache(std::string folder, milliseconds deadline)
    : folder_(std::move(folder)), deadline_(deadline) {}

std::string ReleaseCache::FolderOf(std::string_view url) const {
  return JoinPath(folder_, Sha256Of(url).substr(0, kHashLetters));
}

absl::Status ReleaseCache::FetchRelease(Fetching& fetching,
                                        const std::vector<std::string>& architectures) const {
  // The version becomes a folder's name: parsed, so that it can be nothing else.
  K3SAGA_ASSIGN_OR_RETURN(const Version version, Version::Parse(fetching.version));
  fetching.version = version.ToString();
  const std::string source = FolderOf(fetching.url);
  fetching.folder = JoinPath(source, fetching.version);
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(fetching.folder));
  if (architectures.empty()) {
    return Unavailable(fetching.version, "which architecture's? No agent named its own");
  }
  for (const std::string& architecture : architectures) {
    if (const absl::Status status = fetching.Architecture(architecture); !status.ok()) {
      return Explained(status, fetching.version);
    }
  }
  utimensat(AT_FDCWD, fetching.folder.c_str(), nullptr, 0);  // used now
  Prune(source);
  return absl::OkStatus();
}

absl::Status ReleaseCache::BringSources(v1::Release& release, const std::vector<std::string>& architectures,
                                        const FetchMoved& moved, milliseconds end) const {
  const auto asked = release.sources();
  release.clear_sources();
  bool here = false;
  absl::Status failure;
  for (const v1::ReleaseSource& source : asked) {
    if (source.kind() != v1::ReleaseSource::COORDINATOR) {
      *release.add_sources() = source;
      continue;
    }
    if (here) continue;
    std::string location = source.location();
    absl::Status found;
    if (release::IsHttpUrl(location)) {
      Fetching fetching{location, release.version(), "", release.images(), moved, end};
      found = FetchRelease(fetching, architectures);
      location = FolderOf(location);
    } else if (!IsDirectory(JoinPath(location, release.version()))) {
      found = FolderMissing(JoinPath(location, release.version()));
    }
    if (absl::IsCancelled(found)) return found;
    here = found.ok();
    if (here) {
      *release.add_sources() = source;
      release.mutable_sources(release.sources_size() - 1)->set_location(location);
    } else {
      failure = found;
    }
  }
  if (!here && release.sources_size() == 0) return failure;
  if (!failure.ok())
    LogWarning(absl::StrCat(std::string(failure.message()), "; going on with the next source"));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReleaseCache::FetchInstaller(const v1::Installer& installer,
                                                         const FetchMoved& moved, milliseconds end) const {
  const std::string folder = FolderOf(installer.location());
  const std::string path = JoinPath(folder, kInstallerName);
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(folder));
  if (auto have = Sha256OfFile(path); have.ok() && *have == installer.sha256()) return path;
  release::DownloadOptions options;
  options.deadline = end - Now();
  options.size_cap = release::kInstallerCap;
  options.keep_free = release::kKeepFree;
  options.progress = [&](uint64_t done, uint64_t total) { return moved(kInstallerName, done, total); };
  const absl::Status fetched = FetchText(installer.location(), path, std::move(options));
  if (!fetched.ok()) return Explained(fetched, "installer");
  return path;
}

absl::StatusOr<v1::Release> ReleaseCache::BringHere(const v1::Release& release,
                                                    const std::vector<std::string>& architectures,
                                                    const FetchMoved& moved) const {
  const milliseconds end = Now() + deadline_;
  v1::Release local = release;
  K3SAGA_RETURN_IF_ERROR(BringSources(local, architectures, moved, end));
  v1::Installer& installer = *local.mutable_installer();
  if (installer.kind() == v1::Installer::COORDINATOR && release::IsHttpUrl(installer.location())) {
    K3SAGA_ASSIGN_OR_RETURN(*installer.mutable_location(), FetchInstaller(installer, moved, end));
  }
  return local;
}

absl::Status ReleaseCache::LookAtSource(const v1::Release& release, const std::string& location,
                                        const std::vector<std::string>& architectures) const {
  K3SAGA_ASSIGN_OR_RETURN(const Version version, Version::Parse(release.version()));
  if (!release::IsHttpUrl(location)) {
    const std::string folder = JoinPath(location, version.ToString());
    return IsDirectory(folder) ? absl::OkStatus() : FolderMissing(folder);
  }
  const FetchMoved nobody = [](const std::string&, uint64_t, uint64_t) { return true; };
  const Fetching fetching{
      location, version.ToString(),   JoinPath(FolderOf(location), version.ToString()), release.images(),
      nobody,   Now() + kLookPatience};
  for (const std::string& architecture : architectures) {
    K3SAGA_RETURN_IF_ERROR(fetching.Look(architecture));
  }
  return absl::OkStatus();
}

absl::Status ReleaseCache::LookAtInstaller(const v1::Installer& installer) const {
  const auto script = Peek(installer.location(), release::kInstallerCap, Now() + kLookPatience);
  const std::string& expected = installer.sha256();
  if (script.ok()) {
    const std::string sha256 = Sha256Of(*script);
    if (expected.empty() || sha256 == expected) return absl::OkStatus();
    return ReasonError(MakeReason(v1::CHECKSUM_MISMATCH, "installer",
                                  absl::StrCat(MaskUrl(installer.location()), ": its SHA-256 is ", sha256,
                                               ", release.installer_sha256 says ", expected)));
  }
  // One from before serves, as when it is fetched.
  const auto have = Sha256OfFile(JoinPath(FolderOf(installer.location()), kInstallerName));
  return have.ok() && (expected.empty() || *have == expected) ? absl::OkStatus() : script.status();
}

std::vector<v1::Reason> ReleaseCache::Look(const v1::Release& release,
                                           const std::vector<std::string>& architectures,
                                           const std::string& file) const {
  std::vector<v1::Reason> missing;
  bool somewhere = false;
  absl::Status failure;
  for (const v1::ReleaseSource& source : release.sources()) {
    // A node's own source is the node's to ask.
    if (!somewhere && source.kind() == v1::ReleaseSource::COORDINATOR) {
      const absl::Status found = LookAtSource(release, source.location(), architectures);
      if (!found.ok()) failure = found;
      somewhere = found.ok();
    } else {
      somewhere = true;
    }
  }
  if (!somewhere && !failure.ok()) {
    missing.push_back(Missing(failure, release.version(), "release.source", file));
  }
  const v1::Installer& installer = release.installer();
  if (installer.kind() == v1::Installer::COORDINATOR && release::IsHttpUrl(installer.location())) {
    const absl::Status found = LookAtInstaller(installer);
    if (!found.ok()) missing.push_back(Missing(found, "installer", "release.installer", file));
  }
  return missing;
}

}  // namespace k3saga::driver
