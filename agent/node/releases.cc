#include "agent/node/releases.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "agent/node/uploads.h"
#include "common/host/clock.h"
#include "common/host/crash_point.h"
#include "common/host/files.h"
#include "common/reason.h"
#include "common/release/download.h"
#include "common/release/fetch.h"
#include "common/release/files.h"
#include "common/status_macros.h"
#include "common/version.h"

namespace k3saga::node {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

CrashPoint kBeforeVerified("releases.before_verified");

constexpr char kMarker[] = "verified";
constexpr char kInstallerName[] = "install.sh";
constexpr char kThisNode[] = "this node";

absl::Status Fail(v1::ReasonCode code, std::string_view subject, std::string_view detail,
                  std::string_view remedy = "") {
  return ReasonError(MakeReason(code, subject, detail, remedy));
}

absl::Status WriteMarker(const StagedRelease& staged) {
  const json marker = {{"version", staged.version},
                       {"sha256", staged.sha256},
                       {"images", staged.images.empty() ? "" : BaseName(staged.images)},
                       {"installer", staged.installer.empty() ? "" : BaseName(staged.installer)}};
  return WriteFileDurably(JoinPath(staged.folder, kMarker), marker.dump(2));
}

}  // namespace

// Where files of one release come from, whatever the kind of source.
class ReleaseStore::Source {
 public:
  Source(const v1::ReleaseSource& source, std::string version, const StatePaths& state,
         const StageOptions& options, milliseconds end)
      : source_(source), version_(std::move(version)), uploads_(state), options_(options), end_(end) {}

  // Brings `name` to `path` (a partial one is gone on with where that can be).
  absl::Status Fetch(const std::string& name, const std::string& path, uint64_t cap) {
    switch (source_.kind()) {
      case v1::ReleaseSource::GITHUB:
        return FetchUrl(name, path, cap);
      case v1::ReleaseSource::FOLDER:
        return Copy(JoinPath(JoinPath(source_.location(), version_), name), path, cap);
      case v1::ReleaseSource::COORDINATOR: {
        K3SAGA_ASSIGN_OR_RETURN(const std::string pushed, uploads_.Find(version_, name));
        return Copy(pushed, path, cap);
      }
      default:
        return absl::InvalidArgumentError("this agent does not know that kind of release source");
    }
  }

  std::string Describe() const {
    return source_.kind() == v1::ReleaseSource::COORDINATOR ? "the coordinator" : source_.location();
  }

 private:
  absl::Status FetchUrl(const std::string& name, const std::string& path, uint64_t cap) {
    release::DownloadOptions options;
    options.deadline = end_ - SystemClock().Steady();
    options.size_cap = cap;
    options.keep_free = release::kKeepFree;
    options.proxy = options_.proxy;
    options.no_proxy = options_.no_proxy;
    options.progress = [&](uint64_t done, uint64_t total) {
      return !options_.progress || options_.progress(name, done, total);
    };
    return release::Download(release::UrlOf(source_.location(), version_, name), path, options);
  }

  absl::Status Copy(const std::string& from, const std::string& to, uint64_t cap) {
    K3SAGA_ASSIGN_OR_RETURN(const uint64_t size, FileSize(from));
    if (size > cap)
      return absl::ResourceExhaustedError(absl::StrCat(from, " is larger than the ", cap, " bytes allowed"));
    K3SAGA_RETURN_IF_ERROR(release::CheckSpace(to, size, release::kKeepFree));
    K3SAGA_RETURN_IF_ERROR(CopyFileDurably(from, to));
    if (options_.progress && !options_.progress(BaseName(to), size, size))
      return absl::CancelledError("stopped");
    return absl::OkStatus();
  }

  const v1::ReleaseSource& source_;
  const std::string version_;
  const UploadStore uploads_;
  const StageOptions& options_;
  const milliseconds end_;
};

ReleaseStore::ReleaseStore(StatePaths state, ProcessInspector* processes, const Distribution& distribution)
    : state_(std::move(state)), processes_(processes), distribution_(distribution) {}

absl::StatusOr<StagedRelease> ReleaseStore::Stage(const v1::Release& release, const StageOptions& options) {
  // The version becomes a folder's name: parsed, so that it can be nothing else.
  K3SAGA_ASSIGN_OR_RETURN(const Version version, Version::Parse(release.version()));
  StagedRelease staged;
  staged.version = version.ToString();
  staged.folder = JoinPath(state_.Staged(), staged.version);
  K3SAGA_RETURN_IF_ERROR(MakeDirectories(staged.folder));
  const milliseconds end = SystemClock().Steady() + options.deadline;

  if (!IsStaged(release, &staged)) {
    // Why each source failed; the last one's reason is the whole's.
    absl::Status failure = Fail(v1::RELEASE_UNAVAILABLE, staged.version, "no source was given");
    for (const v1::ReleaseSource& each : release.sources()) {
      Source source(each, staged.version, state_, options, end);
      failure = StageFrom(release, options.size_cap, source, &staged);
      if (failure.ok() || absl::IsCancelled(failure)) break;
    }
    K3SAGA_RETURN_IF_ERROR(failure);
  }
  // Always anew: a user may have mended it since.
  K3SAGA_RETURN_IF_ERROR(StageInstaller(release.installer(), options, end, &staged));
  kBeforeVerified.MaybeDie();
  K3SAGA_RETURN_IF_ERROR(WriteMarker(staged));
  return staged;
}

bool ReleaseStore::IsStaged(const v1::Release& release, StagedRelease* staged) const {
  auto found = Find(release.version());
  if (!found.ok() || (release.images() && found->images.empty())) return false;
  auto sha = Sha256OfFile(found->binary);
  if (!sha.ok() || *sha != found->sha256) return false;
  *staged = *std::move(found);
  staged->installer.clear();
  return true;
}

absl::Status ReleaseStore::StageFrom(const v1::Release& release, uint64_t size_cap, Source& source,
                                     StagedRelease* staged) {
  const release::Files files = distribution_.FilesOfRelease(MachineArchitecture());
  const std::string& name = files.binary;
  const std::string& checksum_name = files.checksums;
  const std::string checksum_path = JoinPath(staged->folder, checksum_name);
  // Always anew: a resumed text of two versions of it would be nonsense.
  K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(checksum_path));
  if (auto status = source.Fetch(checksum_name, checksum_path, release::kChecksumFileCap); !status.ok()) {
    return release::TransferError(status, staged->version, kThisNode);
  }
  K3SAGA_ASSIGN_OR_RETURN(const std::string checksums, ReadFile(checksum_path, release::kChecksumFileCap));
  K3SAGA_ASSIGN_OR_RETURN(staged->sha256, release::FindChecksum(checksums, name));
  if (staged->sha256.empty()) {
    return Fail(v1::RELEASE_UNAVAILABLE, staged->version,
                absl::StrCat(source.Describe(), ": ", checksum_name, " does not name ", name));
  }
  staged->binary = JoinPath(staged->folder, "k3s");
  const auto fetch = [&](const std::string& file, const std::string& sha256, const std::string& path) {
    return release::FetchVerified(
        {.name = file, .sha256 = sha256, .path = path, .source = source.Describe()},
        [&](const std::string& partial) { return source.Fetch(file, partial, size_cap); });
  };
  if (auto status = fetch(name, staged->sha256, staged->binary); !status.ok()) {
    return release::TransferError(status, staged->version, kThisNode);
  }
  if (chmod(staged->binary.c_str(), 0755) != 0)
    return absl::InternalError("cannot make the staged binary executable");
  K3SAGA_RETURN_IF_ERROR(CheckVersion(*staged));
  if (!release.images()) return absl::OkStatus();
  auto images = release::FindImages(checksums, files.images);
  if (!images.ok()) {
    return Fail(v1::RELEASE_UNAVAILABLE, staged->version,
                absl::StrCat(source.Describe(), ": ", std::string(images.status().message())));
  }
  staged->images = JoinPath(staged->folder, images->first);
  auto status = fetch(images->first, images->second, staged->images);
  return status.ok() ? status : release::TransferError(status, staged->version, kThisNode);
}

absl::Status ReleaseStore::CheckVersion(const StagedRelease& staged) {
  auto says = processes_->VersionOfFile(staged.binary);
  if (!says.ok()) {
    return Fail(v1::RELEASE_UNAVAILABLE, staged.version, says.status().message().data(),
                "the source offers a binary that does not run on this machine");
  }
  if (*says == staged.version) return absl::OkStatus();
  return Fail(v1::WRONG_VERSION_RUNNING, staged.version,
              absl::StrCat("the released binary says that it is ", *says),
              "the source mixes up its releases");
}

absl::Status ReleaseStore::StageInstaller(const v1::Installer& installer, const StageOptions& options,
                                          milliseconds end, StagedRelease* staged) {
  if (installer.kind() == v1::Installer::NONE) return absl::OkStatus();
  const std::string path = JoinPath(staged->folder, kInstallerName);
  const std::string partial = path + ".part";
  K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(partial));
  absl::Status status;
  if (installer.kind() == v1::Installer::URL) {
    release::DownloadOptions download;
    download.deadline = end - SystemClock().Steady();
    download.size_cap = release::kInstallerCap;
    download.proxy = options.proxy;
    download.no_proxy = options.no_proxy;
    status = release::Download(installer.location(), partial, download);
  } else {
    std::string from = installer.location();
    if (installer.kind() == v1::Installer::COORDINATOR) {
      auto pushed = UploadStore(state_).Find("", kInstallerName);
      if (!pushed.ok()) return release::TransferError(pushed.status(), "installer", kThisNode);
      from = *pushed;
    }
    status = CopyFileDurably(from, partial);
  }
  if (!status.ok()) return release::TransferError(status, "installer", kThisNode);
  K3SAGA_ASSIGN_OR_RETURN(const std::string sha, Sha256OfFile(partial));
  if (!installer.sha256().empty() && sha != absl::AsciiStrToLower(installer.sha256())) {
    K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(partial));
    return Fail(v1::CHECKSUM_MISMATCH, "installer",
                absl::StrCat("its SHA-256 is ", sha, ", not the one that was asked for"));
  }
  if (chmod(partial.c_str(), 0700) != 0)
    return absl::InternalError("cannot make the staged installer executable");
  K3SAGA_RETURN_IF_ERROR(RenameDurably(partial, path));
  staged->installer = path;
  return absl::OkStatus();
}

absl::StatusOr<StagedRelease> ReleaseStore::Find(std::string_view version) const {
  K3SAGA_ASSIGN_OR_RETURN(const Version parsed, Version::Parse(version));
  StagedRelease staged;
  staged.version = parsed.ToString();
  staged.folder = JoinPath(state_.Staged(), staged.version);
  K3SAGA_ASSIGN_OR_RETURN(const std::string text, ReadFile(JoinPath(staged.folder, kMarker)));
  try {
    const json marker = json::parse(text);
    const std::string images = marker.at("images");
    const std::string installer = marker.at("installer");
    marker.at("sha256").get_to(staged.sha256);
    staged.binary = JoinPath(staged.folder, "k3s");
    if (!images.empty()) staged.images = JoinPath(staged.folder, images);
    if (!installer.empty()) staged.installer = JoinPath(staged.folder, installer);
  } catch (const json::exception& error) {
    return absl::NotFoundError(absl::StrCat(staged.folder, "/", kMarker, ": ", error.what()));
  }
  for (const std::string& file : {staged.binary, staged.images, staged.installer}) {
    if (!file.empty() && !Exists(file)) return absl::NotFoundError(absl::StrCat(file, " is gone"));
  }
  return staged;
}

std::vector<std::string> ReleaseStore::Versions() const {
  std::vector<std::string> versions;
  auto names = ListDirectory(state_.Staged());
  if (!names.ok()) return versions;
  for (const std::string& name : *names) {
    if (Find(name).ok()) versions.push_back(name);
  }
  return versions;
}

absl::Status ReleaseStore::Drop(std::string_view version) {
  K3SAGA_ASSIGN_OR_RETURN(const Version parsed, Version::Parse(version));
  const std::string folder = JoinPath(state_.Staged(), parsed.ToString());
  if (Exists(JoinPath(folder, kMarker))) K3SAGA_RETURN_IF_ERROR(RemoveFileDurably(JoinPath(folder, kMarker)));
  K3SAGA_RETURN_IF_ERROR(RemoveTree(folder));
  return UploadStore(state_).Drop(parsed.ToString());
}

}  // namespace k3saga::node
