#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "agent/node/configuration.h"
#include "agent/node/distribution.h"
#include "agent/node/host_paths.h"
#include "agent/node/installation.h"
#include "agent/node/systemd.h"

namespace k3saga::node {

// What an install is about to replace, kept durably under <state>/kept/ROLLOUT until the rollout is
// confirmed: binary, unit, environment file, killall and uninstall scripts, symlinks, images archive, and a
// manifest with hashes.
struct KeptFile {
  enum class Kind { kFile, kSymlink, kAbsent };
  std::string path;  // where it was and goes back to
  Kind kind = Kind::kFile;
  std::string sha256;   // kFile
  std::string target;   // kSymlink
  std::string kept_as;  // name in the kept folder; "" when only listed (drop-ins)
};

struct KeptManifest {
  std::string rollout;
  std::string unit;
  std::string unit_file;
  std::string environment_file;
  std::string binary;
  std::string data_dir;
  std::string version;  // that ran, or that the binary was
  bool was_running = false;
  bool was_enabled = false;
  std::vector<KeptFile> files;
  ConfigurationMeaning meaning;  // what unit and environment meant
};

class KeptFiles {
 public:
  // `distribution` must outlive it.
  KeptFiles(StatePaths state, const Distribution& distribution);

  // Idempotent: what a rollout kept first is what it keeps; a second call (the same or a later attempt)
  // changes nothing. NOT_KEPT when there is nothing sound to keep (no unit), DISK_SPACE when it does not fit.
  absl::StatusOr<KeptManifest> Keep(std::string_view rollout, const Installation& installation);
  // NOT_KEPT when there is none for this rollout. The manifest is verified against the kept files' hashes.
  absl::StatusOr<KeptManifest> Read(std::string_view rollout) const;

  // As Read, but the kept files are not looked at: for the manifest alone. Whoever uses a kept file (below)
  // verifies that one; hashing a binary again for every phase costs seconds where there are no SHA
  // instructions.
  absl::StatusOr<KeptManifest> Peek(std::string_view rollout) const;

  // Puts every file back, atomically each, and what was absent away; skips what is right already; reloads
  // systemd. Does not restart anything. Idempotent. `changed` (optional) says whether anything was to be
  // done.
  absl::Status Restore(std::string_view rollout, Systemd& systemd, bool* changed = nullptr);

  // The same, but the unit is not enabled where it no longer is: k3s is to stand still (see Standstill).
  absl::Status RestoreStandingStill(std::string_view rollout, Systemd& systemd);

  // Only unit and environment file: what a second run of the installer has to find when the first one died in
  // the middle. systemd is reloaded if anything was put back.
  absl::Status RestoreConfiguration(std::string_view rollout, Systemd& systemd);

  // Where the kept copy of the file at `path` is, verified; kNotFound.
  absl::StatusOr<std::string> KeptCopy(std::string_view rollout, std::string_view path) const;

  // An installer deletes the unit before it writes a new one: when this node's unit or environment file is
  // gone although some rollout kept it, the newest such one is put back. True when something was repaired.
  absl::StatusOr<bool> RepairMissingUnit(Systemd& systemd);

  std::vector<std::string> Rollouts() const;  // with a whole manifest, oldest first
  // Drops all but the newest `count` and the named one.
  absl::Status Prune(size_t count, std::string_view except);

 private:
  absl::Status RestoreFiles(const KeptManifest& manifest, Systemd& systemd, bool* changed);
  static absl::Status EnableIfLost(const KeptManifest& manifest, Systemd& systemd);
  std::string Folder(std::string_view rollout) const;
  const StatePaths state_;
  const Distribution& distribution_;
};

}  // namespace k3saga::node
