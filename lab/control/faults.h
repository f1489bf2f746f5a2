#pragma once

#include <absl/status/status.h>

#include <string>

#include "lab/base/layout.h"

namespace k3saga::lab {

// Makes things go wrong, one function a kind. Where faults live:
//   a release's own     behind its binary: {"never_ready", "crash_at_start_ms", "start_ms"}
//   a node's            DIR/nodes/NAME/fault.json: the same keys, "version" (only for that release), and
//                       "crash_when_overtaken_ms" (a server that another one, newer, has been ready beside
//                       for so long exits 255, again and again, until it is as new), "reset_fails",
//                       "reset_hangs" (k3s server --cluster-reset), "newer_credentials" (a server that joins
//                       with files in server/tls refuses: they are newer than the datastore),
//                       "node_not_ready" (k3s itself is well; its Node object says NotReady)
//   the installer's     DIR/nodes/NAME/installer-fault: "STEP COUNT", step start | halfway | written
//   the release server's DIR/release-server.json

// Kinds: good, never-ready, crash, slow, wrong-version (the binary says another version than its folder),
// corrupt (it does not match its checksum), cut (half of it), missing.
absl::Status SetReleaseFault(const Lab& lab, const std::string& version, const std::string& kind);

// Kinds: good, slow, cut, corrupt, error.
absl::Status SetDownloadFault(const Lab& lab, const std::string& kind);

// Kinds: good, never-ready, node-not-ready, crash, slow, overtaken, reset-fails, reset-hangs,
// newer-credentials. `version`: only when that release runs; "" for any.
absl::Status SetNodeFault(const Lab& lab, const std::string& node, const std::string& kind,
                          const std::string& version, int64_t millis);

// Steps: start, halfway (unit deleted, not yet written), written (before the start), none.
absl::Status SetInstallerFault(const Lab& lab, const std::string& node, const std::string& step, int times);

// A pod on that node whose budget never allows its eviction; removed again by `clear`.
absl::Status BlockDrain(const Lab& lab, const std::string& node, bool clear);

// Velero in the cluster, installed when it is missing. Kinds: good (brings what it is asked for to its end),
// fails (in part), hangs, restores-fail (backups do not).
absl::Status SetVelero(const Lab& lab, const std::string& kind);

// `what`: k3s, agent, etcd, operation. `action`: kill (SIGKILL), pause (SIGSTOP), resume (SIGCONT).
absl::Status SignalProcess(const Lab& lab, const std::string& node, const std::string& what,
                           const std::string& action);

// Variables for the agent, such as K3SAGA_CRASH_AT=NAME:N; it is restarted to see them. Its next start only,
// or with `keep` every process that the node's systemd starts from now on (no variables: clears them).
absl::Status SetEnvironment(const Lab& lab, const std::string& node,
                            const std::vector<std::string>& variables, bool keep);

absl::Status Reboot(const Lab& lab, const std::string& node);

}  // namespace k3saga::lab
