#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/distribution.h"
#include "agent/node/host_paths.h"
#include "agent/node/process_check.h"
#include "k3saga/v1/operation.pb.h"

namespace k3saga::node {

// A release on this node's disk, verified: binary hash against the release's checksum file, and the binary
// itself asked for its version.
struct StagedRelease {
  std::string version;
  std::string folder;     // <state>/staged/VERSION
  std::string binary;     // executable
  std::string sha256;     // of the binary
  std::string images;     // "" when none was staged
  std::string installer;  // "" for installer kind NONE
};

struct StageOptions {
  std::chrono::milliseconds deadline{600'000};
  uint64_t size_cap = 4ull << 30;  // of one file
  std::string proxy = {};          // as in k3s's own environment; "": the agent's
  std::string no_proxy = {};
  // Called now and then with bytes of the current file; false stops (kCancelled). `total` 0 when unknown.
  std::function<bool(std::string_view file, uint64_t done, uint64_t total)> progress = {};
};

// The releases kept beside the running one. Staging is idempotent: what is verified stays, what was cut is
// resumed. Errors carry typed reasons (RELEASE_UNAVAILABLE, DOWNLOAD_FAILED, CHECKSUM_MISMATCH, DISK_SPACE,
// WRONG_VERSION_RUNNING). One Stage or Drop at a time; Find any time.
class ReleaseStore {
 public:
  // Both must outlive it.
  ReleaseStore(StatePaths state, ProcessInspector* processes, const Distribution& distribution);

  // Sources are tried in order; a checksum that does not match throws the file away and tries the next one.
  absl::StatusOr<StagedRelease> Stage(const v1::Release& release, const StageOptions& options);
  // kNotFound unless it was verified.
  absl::StatusOr<StagedRelease> Find(std::string_view version) const;
  std::vector<std::string> Versions() const;  // verified ones
  absl::Status Drop(std::string_view version);

 private:
  class Source;  // where one release's files come from

  // Whether all but the installer is there and sound: then no source is asked again.
  bool IsStaged(const v1::Release& release, StagedRelease* staged) const;
  absl::Status StageFrom(const v1::Release& release, uint64_t size_cap, Source& source,
                         StagedRelease* staged);
  absl::Status CheckVersion(const StagedRelease& staged);
  absl::Status StageInstaller(const v1::Installer& installer, const StageOptions& options,
                              std::chrono::milliseconds end, StagedRelease* staged);

  const StatePaths state_;
  ProcessInspector* const processes_;
  const Distribution& distribution_;
};

}  // namespace k3saga::node
