#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/installation.h"
#include "agent/node/systemd.h"
#include "common/host/secrets.h"
#include "k3saga/v1/facts.pb.h"

namespace k3saga::node {

// Whether this backup may become this server's datastore with the binary that is in place. BACKUP_UNUSABLE:
// of another cluster or kind of datastore, taken by a newer k3s, or with a token that is not this node's.
absl::Status JudgeRestore(const Installation& installation, const v1::StoredBackup& backup,
                          std::string_view backup_token);

// `k3s server --cluster-reset --cluster-reset-restore-path=SNAPSHOT`, as this unit would run it: all of its
// flags, configuration and environment but the server URL (k3s refuses a reset with one, wherever it is
// written) and etcd-s3 (k3s would look for the snapshot there).
struct ResetCall {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::string config_file;  // to be written for the call: config.yaml itself stays as it is
  std::string config;
  SecretMask secrets;
};

// `token`: the backup's, for a node whose k3s was never told one. `config_file`: a path in the agent's own
// folder.
absl::StatusOr<ResetCall> PlanReset(const Installation& installation, std::string_view snapshot,
                                    std::string_view token, std::string_view config_file);

// Runs it to its end; k3s must not run, and its etcd's folder must be out of the way. RESTORE_FAILED with
// k3s's last words; TIMED_OUT when it hangs.
absl::Status RunReset(const Installation& installation, const ResetCall& call,
                      std::chrono::milliseconds deadline);

// A snapshot opens with the token of its time. Where nobody tells k3s its token and the one it kept
// (server/token) is another, the backup's takes its place; the other one goes into `aside`.
absl::Status PlaceToken(const Installation& installation, std::string_view token, const std::string& aside);

// A server that joins through another one, whatever its unit and configuration say (it may have begun the
// cluster, or name a server that is gone), by a drop-in of its unit until EndJoining. Not by a file of k3s's:
// k3s reads config.yaml.d from v1.21 on, and a server that misses the URL begins a cluster of its own. Both
// are idempotent.
absl::Status JoinThrough(const Installation& installation, std::string_view server_url, Systemd& systemd);
absl::Status EndJoining(const Installation& installation, Systemd& systemd);

}  // namespace k3saga::node
