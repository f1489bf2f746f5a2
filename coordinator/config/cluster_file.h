#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <vector>

#include "common/tls/identity.h"
#include "k3saga/v1/facts.pb.h"
#include "k3saga/v1/operation.pb.h"
#include "k3saga/v1/policy.pb.h"

namespace k3saga::config {

struct ClusterNode {
  std::string name;
  v1::Role role = v1::ROLE_UNSPECIFIED;
  std::string agent;  // as gRPC takes it: "ipv4:10.0.0.11:7440"
};

// What `plans render` needs besides the policies. At most one of version and channel is set; neither means
// the version asked for on the command line.
struct SystemUpgradeController {
  bool enabled = false;
  std::string version;
  std::string channel;  // URL
};

// cluster.yaml, checked. docs/cluster-file.md is the reference.
struct ClusterFile {
  std::string path;
  std::string name;
  std::string distribution;
  tls::IdentityFiles identity;     // absolute, or relative to the working directory as `path` is
  std::vector<ClusterNode> nodes;  // in the order of the file
  v1::Release release;             // version is empty: the command line says it
  std::string channel_server;      // URL; "/CHANNEL" is appended
  v1::Policies policies;           // complete: defaults filled in
  SystemUpgradeController system_upgrade_controller;
  std::string known_trouble;  // folder with entries of the user's own; "": the built-in table only
};

// Whether a file that cluster.yaml names is there: the parser's only look outside of the text.
using FileExists = std::function<bool(const std::string& path)>;

// Everything that is wrong is reported at once: kInvalidArgument, one "FILE:LINE:COLUMN: ..." a line, each
// saying what was expected. `path` is used for messages and to find the files that are named relative to it.
absl::StatusOr<ClusterFile> ParseClusterFile(const std::string& text, const std::string& path,
                                             const FileExists& exists);

// Reads and parses. kNotFound says how to write one.
absl::StatusOr<ClusterFile> LoadClusterFile(const std::string& path);

}  // namespace k3saga::config
