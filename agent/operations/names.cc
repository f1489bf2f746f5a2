#include "agent/operations/names.h"

#include <algorithm>
#include <array>
#include <utility>

namespace k3saga::operations {
namespace {

using enum Phase;

struct VerbNames {
  Verb verb;
  v1::OperationSpec::VerbCase on_the_wire;
  std::string_view name;
};

constexpr VerbNames kVerbNames[] = {
    {Verb::kClaim, v1::OperationSpec::kClaim, "claim"},
    {Verb::kReleaseClaim, v1::OperationSpec::kReleaseClaim, "release_claim"},
    {Verb::kStage, v1::OperationSpec::kStage, "stage"},
    {Verb::kDropStaged, v1::OperationSpec::kDropStaged, "drop_staged"},
    {Verb::kBackup, v1::OperationSpec::kBackup, "backup"},
    {Verb::kCordon, v1::OperationSpec::kCordon, "cordon"},
    {Verb::kDrain, v1::OperationSpec::kDrain, "drain"},
    {Verb::kUncordon, v1::OperationSpec::kUncordon, "uncordon"},
    {Verb::kMoveLeader, v1::OperationSpec::kMoveLeader, "move_leader"},
    {Verb::kInstall, v1::OperationSpec::kInstall, "install"},
    {Verb::kPutBack, v1::OperationSpec::kPutBack, "put_back"},
    {Verb::kAwaitNode, v1::OperationSpec::kAwaitNode, "await_node"},
    {Verb::kStop, v1::OperationSpec::kStop, "stop"},
    {Verb::kRestoreDatastore, v1::OperationSpec::kRestoreDatastore, "restore_datastore"},
    {Verb::kRejoin, v1::OperationSpec::kRejoin, "rejoin"},
    {Verb::kRestart, v1::OperationSpec::kRestart, "restart"},
    {Verb::kApplyManifests, v1::OperationSpec::kApplyManifests, "apply_manifests"},
    {Verb::kRemoveManifests, v1::OperationSpec::kRemoveManifests, "remove_manifests"},
    {Verb::kVeleroBackup, v1::OperationSpec::kVeleroBackup, "velero_backup"},
    {Verb::kVeleroRestore, v1::OperationSpec::kVeleroRestore, "velero_restore"},
};

constexpr std::array<std::pair<Phase, std::string_view>, 36> kPhaseNames = {{
    {kCheck, "check"},
    {kKeep, "keep"},
    {kPlace, "place"},
    {kRunInstaller, "installer"},
    {kCompare, "compare"},
    {kLastCheck, "last-check"},
    {kLastCheckAgain, "last-check-again"},
    {kRestart, "restart"},
    {kVerify, "verify"},
    {kUndo, "undo"},
    {kRestoreFiles, "restore-files"},
    {kRestartOld, "restart-old"},
    {kVerifyOld, "verify-old"},
    {kHalt, "halt"},
    {kRestoreOnly, "restore-files-only"},
    {kSetAside, "set-aside"},
    {kReset, "reset"},
    {kStart, "start"},
    {kJoin, "join"},
    {kSetCredentialsAside, "set-credentials-aside"},
    {kJoinAgain, "join-again"},
    {kClaim, "claim"},
    {kReleaseClaim, "release-claim"},
    {kDownload, "download"},
    {kDropStaged, "drop-staged"},
    {kSnapshot, "snapshot"},
    {kCordon, "cordon"},
    {kDrain, "drain"},
    {kUncordon, "uncordon"},
    {kMoveLeader, "move-leader"},
    {kAwaitNode, "await-node"},
    {kApplyManifests, "apply-manifests"},
    {kRemoveManifests, "remove-manifests"},
    {kVeleroBackup, "velero-backup"},
    {kVeleroRestore, "velero-restore"},
    {kSettled, "settled"},
}};

}  // namespace

Verb VerbOf(const v1::OperationSpec& spec) {
  const auto* known = std::find_if(std::begin(kVerbNames), std::end(kVerbNames), [&](const VerbNames& each) {
    return each.on_the_wire == spec.verb_case();
  });
  return known == std::end(kVerbNames) ? Verb::kUnknown : known->verb;
}

std::string_view VerbName(Verb verb) {
  const auto* known = std::find_if(std::begin(kVerbNames), std::end(kVerbNames),
                                   [&](const VerbNames& each) { return each.verb == verb; });
  return known == std::end(kVerbNames) ? "unknown" : known->name;
}

bool ChangesNode(Verb verb) {
  return verb == Verb::kStage || verb == Verb::kDropStaged || RunsOutsideAgent(verb);
}

bool RunsOutsideAgent(Verb verb) {
  switch (verb) {
    case Verb::kInstall:
    case Verb::kPutBack:
    case Verb::kBackup:
    case Verb::kStop:
    case Verb::kRestoreDatastore:
    case Verb::kRejoin:
    case Verb::kRestart:
      return true;
    default:
      return false;
  }
}

std::string_view PhaseName(Phase phase) {
  for (const auto& [each, name] : kPhaseNames) {
    if (each == phase) return name;
  }
  return "settled";
}

std::optional<Phase> PhaseByName(std::string_view name) {
  for (const auto& [phase, each] : kPhaseNames) {
    if (each == name) return phase;
  }
  return std::nullopt;
}

}  // namespace k3saga::operations
