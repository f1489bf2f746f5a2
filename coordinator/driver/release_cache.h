#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "k3saga/v1/operation.pb.h"

namespace k3saga::driver {

// Bytes of a file so far and in total (0: unknown); false: nobody waits for it any more.
using FetchMoved = std::function<bool(const std::string& file, uint64_t done, uint64_t total)>;

// Releases that this machine fetched for its nodes, so that one download serves the whole cluster and nodes
// need no internet: FOLDER/SOURCE/VERSION/FILE, named as in the release, where SOURCE stands for the URL it
// came from (two mirrors' files are never taken for each other's). What was cut is gone on with, also by
// another process; what is there and matches the release's checksum file is not fetched again; a checksum
// file is asked for anew each time, and the one from before serves where the source is out of reach.
//
// One process at a time (whoever may write the journal). Blocks: not for the loop's thread. Errors carry
// typed reasons (RELEASE_UNAVAILABLE, DOWNLOAD_FAILED, CHECKSUM_MISMATCH, DISK_SPACE, TIMED_OUT, CANCELLED).
class ReleaseCache {
 public:
  static constexpr size_t kVersionsKept = 3;                    // of a source: the ones used last
  static constexpr std::chrono::minutes kDeadline{20};          // for all files of one release
  static constexpr std::chrono::seconds kChecksumPatience{15};  // where there is one from before
  static constexpr std::chrono::seconds kLookPatience{10};      // for a look at one source or installer

  explicit ReleaseCache(std::string folder, std::chrono::milliseconds deadline = kDeadline);

  // `release` with what it has from coordinator:https://... (release, installer) brought to this machine, and
  // a local path in the place of each URL. Sources are tried in order, up to the first of the coordinator's
  // that has the release. None of them having it is an error, unless nodes have a source of their own to try.
  absl::StatusOr<v1::Release> BringHere(const v1::Release& release,
                                        const std::vector<std::string>& architectures,
                                        const FetchMoved& moved) const;

  // Whether BringHere would find it, asked before anything is touched: the checksum files are fetched, and a
  // script for an installer, but no binary. Changes nothing here, so that anybody may ask at any time. One
  // reason for the release and one for the installer, where they are not to be had; `file` is the
  // cluster.yaml that names them.
  std::vector<v1::Reason> Look(const v1::Release& release, const std::vector<std::string>& architectures,
                               const std::string& file) const;

 private:
  struct Fetching;  // one release's files from one source

  absl::Status FetchRelease(Fetching& fetching, const std::vector<std::string>& architectures) const;
  absl::Status BringSources(v1::Release& release, const std::vector<std::string>& architectures,
                            const FetchMoved& moved, std::chrono::milliseconds end) const;
  absl::Status LookAtSource(const v1::Release& release, const std::string& location,
                            const std::vector<std::string>& architectures) const;
  absl::Status LookAtInstaller(const v1::Installer& installer) const;
  absl::StatusOr<std::string> FetchInstaller(const v1::Installer& installer, const FetchMoved& moved,
                                             std::chrono::milliseconds end) const;
  std::string FolderOf(std::string_view url) const;

  const std::string folder_;
  const std::chrono::milliseconds deadline_;
};

}  // namespace k3saga::driver
