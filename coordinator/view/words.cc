#include "coordinator/view/words.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/strip.h>

namespace k3saga::view {
namespace {

std::string Lower(const std::string& name, const char* prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

}  // namespace

std::string StepTitle(v1::Step step) {
  switch (step) {
    case v1::STEP_PREFLIGHT:
      return "Preflight";
    case v1::STEP_STAGE_RELEASE:
      return "Stage release";
    case v1::STEP_BACKUP:
      return "Backup before upgrade";
    case v1::STEP_UPGRADE_SERVERS:
      return "Upgrade servers";
    case v1::STEP_UPGRADE_WORKERS:
      return "Upgrade workers";
    case v1::STEP_VERIFY:
      return "Verify";
    case v1::STEP_RESTORE_FROM_BACKUP:
      return "Restore from backup";
    case v1::STEP_CLEAN_UP:
      return "Clean up";
    case v1::STEP_PUT_BACK_WORKERS:
      return "Put back workers";
    case v1::STEP_PUT_BACK_SERVERS:
      return "Put back servers";
    case v1::STEP_STOP_SERVERS:
      return "Stop servers";
    case v1::STEP_RESTORE_DATASTORE:
      return "Restore datastore";
    case v1::STEP_REJOIN_SERVERS:
      return "Rejoin servers";
    case v1::STEP_RESTART_WORKERS:
      return "Restart workers";
    default:
      return "Unknown step";
  }
}

std::string StepKey(v1::Step step) { return Lower(v1::Step_Name(step), "STEP_"); }

std::string PhaseWord(core::Phase phase) {
  switch (phase) {
    case core::Phase::kPending:
      return "pending";
    case core::Phase::kClaiming:
      return "claiming";
    case core::Phase::kStaging:
      return "staging";
    case core::Phase::kStaged:
      return "staged";
    case core::Phase::kBackingUp:
      return "backing up";
    case core::Phase::kMovingLeader:
      return "moving leader";
    case core::Phase::kCordoning:
      return "cordoning";
    case core::Phase::kDraining:
      return "draining";
    case core::Phase::kInstalling:
      return "installing";
    case core::Phase::kAwaiting:
      return "awaiting";
    case core::Phase::kUncordoning:
      return "uncordoning";
    case core::Phase::kPuttingBack:
      return "putting back";
    case core::Phase::kWaitingToRetry:
      return "waiting to retry";
    case core::Phase::kStopping:
      return "stopping";
    case core::Phase::kStopped:
      return "stopped";
    case core::Phase::kRestoring:
      return "restoring datastore";
    case core::Phase::kRejoining:
      return "rejoining";
    case core::Phase::kRestarting:
      return "restarting";
    case core::Phase::kUpgraded:
      return "upgraded";
    case core::Phase::kUnchanged:
      return "unchanged";
    case core::Phase::kReturned:
      return "back";
    case core::Phase::kPutBack:
      return "put back";
    case core::Phase::kFailed:
      return "failed";
    case core::Phase::kSkipped:
      return "skipped";
  }
  return "unknown";
}

std::string PhaseKey(core::Phase phase) { return absl::StrReplaceAll(PhaseWord(phase), {{" ", "_"}}); }

std::string RoleWord(v1::Role role) { return Lower(v1::Role_Name(role), "ROLE_"); }

std::string ResultKey(v1::RolloutEnded::Result result) {
  return Lower(v1::RolloutEnded::Result_Name(result), "RESULT_");
}

std::string ReasonKey(v1::ReasonCode code) { return Lower(v1::ReasonCode_Name(code), "REASON_"); }

std::string DatastoreWord(v1::Datastore datastore) {
  switch (datastore) {
    case v1::DATASTORE_EMBEDDED_ETCD:
      return "embedded etcd";
    case v1::DATASTORE_SQLITE:
      return "SQLite";
    case v1::DATASTORE_EXTERNAL:
      return "external";
    default:
      return "unknown";
  }
}

std::string KindWord(v1::Plan::Kind kind) { return absl::AsciiStrToLower(v1::Plan::Kind_Name(kind)); }

std::string OperationWords(const v1::OperationSpec& spec) {
  switch (spec.verb_case()) {
    case v1::OperationSpec::kClaim:
      return "claim";
    case v1::OperationSpec::kReleaseClaim:
      return "release claim";
    case v1::OperationSpec::kStage:
      return absl::StrCat("stage ", spec.stage().release().version());
    case v1::OperationSpec::kDropStaged:
      return absl::StrCat("drop staged ", spec.drop_staged().version());
    case v1::OperationSpec::kBackup:
      return "backup";
    case v1::OperationSpec::kCordon:
      return "cordon";
    case v1::OperationSpec::kDrain:
      return "drain";
    case v1::OperationSpec::kUncordon:
      return "uncordon";
    case v1::OperationSpec::kMoveLeader:
      return "move etcd leadership";
    case v1::OperationSpec::kInstall:
      return absl::StrCat("install ", spec.install().version());
    case v1::OperationSpec::kPutBack:
      return spec.put_back().leave_stopped() ? "put back files" : "put back";
    case v1::OperationSpec::kStop:
      return "stop k3s";
    case v1::OperationSpec::kRestoreDatastore:
      return absl::StrCat("restore datastore from ", spec.restore_datastore().backup_id());
    case v1::OperationSpec::kRejoin:
      return "rejoin";
    case v1::OperationSpec::kRestart:
      return "restart k3s";
    case v1::OperationSpec::kVeleroBackup:
      return absl::StrCat("Velero backup ", spec.velero_backup().name());
    case v1::OperationSpec::kVeleroRestore:
      return absl::StrCat("Velero restore of ", spec.velero_restore().backup());
    case v1::OperationSpec::kAwaitNode:
      return absl::StrCat("await Ready at ", spec.await_node().version());
    case v1::OperationSpec::kApplyManifests:
      return "apply what this step needs";
    case v1::OperationSpec::kRemoveManifests:
      return "remove what this step needed";
    default:
      return "unknown operation";
  }
}

std::string Elapsed(int64_t milliseconds) {
  const int64_t seconds = milliseconds < 0 ? 0 : milliseconds / 1000;
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrFormat("%dm%02ds", seconds / 60, seconds % 60);
  return absl::StrFormat("%dh%02dm", seconds / 3600, seconds / 60 % 60);
}

std::string DateAndTime(int64_t unix_ms, const absl::TimeZone& zone) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMillis(unix_ms), zone);
}

std::string TimeOfDay(int64_t unix_ms, const absl::TimeZone& zone) {
  return absl::FormatTime("%H:%M:%S", absl::FromUnixMillis(unix_ms), zone);
}

std::string Counted(size_t number, std::string_view noun) {
  return absl::StrCat(number, " ", std::string(noun), number == 1 ? "" : "s");
}

std::string Bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? absl::StrCat(bytes, " B") : absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

}  // namespace k3saga::view
