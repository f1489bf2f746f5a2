#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "k3saga/v1/operation.pb.h"

namespace k3saga::operations {

// What an operation is about, and the steps that it takes. Pure.

enum class Verb : uint8_t {
  kUnknown,  // set by a newer coordinator: refused, never skipped
  kClaim,
  kReleaseClaim,
  kStage,
  kDropStaged,
  kBackup,
  kCordon,
  kDrain,
  kUncordon,
  kMoveLeader,
  kInstall,
  kPutBack,
  kAwaitNode,
  kStop,
  kRestoreDatastore,
  kRejoin,
  kRestart,
  kApplyManifests,
  kRemoveManifests,
  kVeleroBackup,
  kVeleroRestore,
};

Verb VerbOf(const v1::OperationSpec& spec);
std::string_view VerbName(Verb verb);  // "put_back": as in the .proto, and as metrics label it

// Verbs that change this node's files or its k3s. One at a time on a node.
bool ChangesNode(Verb verb);
// Verbs that have to outlive the agent itself, or (a backup runs k3s's own command, which writes where k3s
// does) need more of the node than the agent's sandbox gives: they run in a transient systemd unit of their
// own.
bool RunsOutsideAgent(Verb verb);

// A phase is an effect. The comment says what its effect achieves; achieved before means done.
enum class Phase : uint8_t {
  // Install and put back.
  kCheck,         // the node and the staged (put back: the kept) files are such that the rest can work
  kKeep,          // binary, unit, environment and installer are kept, durably, to be put back
  kPlace,         // the staged binary stands in place, atomically; k3s still runs the old one
  kRunInstaller,  // the installer ran with every flag and variable of this node, starting nothing
  kCompare,       // unit and environment mean what they meant before
  kLastCheck,  // stopping k3s now is safe: claim, leader, quorum, membership. True when there is nothing to
               // stop
  kRestart,    // the main process is one that was started from the file in place
  kVerify,     // that process is healthy and is the version that was asked for
  kLastCheckAgain,  // likewise, for a put-back that lost its process: its files may be back already
  // Ways back.
  kUndo,  // files as kept, k3s was not restarted; refused: the new one runs already (the node was rebooted)
  kRestoreFiles,  // files as kept
  kRestartOld,
  kVerifyOld,
  // The way back of a datastore.
  kHalt,         // k3s does not run, and no boot starts it
  kRestoreOnly,  // files as kept; k3s goes on standing still
  kSetAside,     // the datastore lies beside its place, whole; credentials are copied there too
  kReset,        // the datastore is what the backup holds, and this server is its only member
  kStart,        // k3s was started and will be by a boot
  kJoin,         // started, healthy, a voting member; refused: its credentials are newer than the datastore
  kSetCredentialsAside,  // server/tls and server/cred lie beside their place: k3s gets them from its peers
  kJoinAgain,            // as kJoin
  // Verbs of one effect.
  kClaim,         // the claim is recorded when the operation is accepted, in one commit
  kReleaseClaim,  // likewise; what a confirmed rollout kept may be pruned
  kDownload,      // the release is staged and verified
  kDropStaged,
  kSnapshot,
  kCordon,
  kDrain,
  kUncordon,
  kMoveLeader,
  kAwaitNode,
  kApplyManifests,
  kRemoveManifests,
  kVeleroBackup,
  kVeleroRestore,

  kSettled,
};

std::string_view PhaseName(Phase phase);                  // "last-check": journal, progress, lab
std::optional<Phase> PhaseByName(std::string_view name);  // nullopt: written by a newer agent

}  // namespace k3saga::operations
