#include "agent/service/restore_effects.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "agent/node/reset.h"
#include "agent/operations/fencing.h"
#include "agent/service/effect_tools.h"
#include "common/host/files.h"
#include "common/host/log.h"
#include "common/reason.h"
#include "common/status_macros.h"

namespace k3saga::service {

using operations::EffectContext;
using operations::EffectResult;
using operations::Phase;
using operations::Record;
using operations::Verb;
using std::chrono::milliseconds;

namespace {

// What phases remember for later ones, across processes (Record::notes).
constexpr char kProcessBefore[] = "process-before";  // the main process that a restart replaces
constexpr char kRunsEtcd[] = "runs-etcd";            // what its unit alone may not tell without the datastore
constexpr char kAside[] = "aside";                   // where the datastore went, for whoever looks back

constexpr milliseconds kLongestReset{600'000};
constexpr milliseconds kOneLook{3'000};  // between two looks at what a joining k3s complains of
constexpr milliseconds kLookAtEtcd{4'000};
constexpr int kLinesOfComplaint = 30;
constexpr uint64_t kReserve = 64ull << 20;  // left free beside the datastore
constexpr uint64_t kTokenCap = 1 << 16;
// k3s's own words when files of server/tls or server/cred are newer than what the datastore holds.
constexpr char kNewerThanDatastore[] = "newer than datastore";

// What a log's tail `now` has that its earlier tail `before` had not.
std::string_view WordsSince(std::string_view before, std::string_view now) {
  while (!before.empty() && !now.starts_with(before)) {
    const size_t end = before.find('\n');
    before.remove_prefix(end == before.npos ? before.size() : end + 1);
  }
  return now.substr(before.size());
}

std::string Note(const Record& record, const char* key) {
  const auto found = record.notes.find(key);
  return found == record.notes.end() ? "" : found->second;
}

}  // namespace

bool RestoreEffects::Knows(Verb verb) {
  return verb == Verb::kStop || verb == Verb::kRestoreDatastore || verb == Verb::kRejoin ||
         verb == Verb::kRestart;
}

EffectResult RestoreEffects::Failed(const absl::Status& status) const {
  return EffectResult::Failed(ReasonOf(status, parts_.config.node));
}

EffectResult RestoreEffects::Refused(const absl::Status& status) const {
  return EffectResult::Refused(ReasonOf(status, parts_.config.node));
}

EffectResult RestoreEffects::Perform(Phase phase, const Record& record, EffectContext& context) {
  switch (phase) {
    case Phase::kCheck:
      return Check(record);
    case Phase::kHalt:
      return Halt(context);
    case Phase::kSetAside:
      return SetAside(record);
    case Phase::kReset:
      return Reset(record, context);
    case Phase::kStart:
      return Start();
    case Phase::kRestart:
      return Restart(record, context);
    case Phase::kVerify:
      return Verify(context);
    case Phase::kJoin:
    case Phase::kJoinAgain:
      return Join(record, context);
    case Phase::kSetCredentialsAside:
      return SetCredentialsAside(record, context);
    default:
      return EffectResult::Failed(MakeReason(
          v1::UNKNOWN_ACTION, parts_.config.node,
          absl::StrCat("phase ", std::string(operations::PhaseName(phase)), " has no effect in this agent")));
  }
}

node::SetAside RestoreEffects::AsideOf(const Record& record, const std::string& data_dir) const {
  return {data_dir, absl::StrCat(record.id.rollout(), "-", record.id.sequence(), "-", record.id.attempt())};
}

std::string RestoreEffects::BackupToken(const std::string& id) const {
  const auto path = parts_.backups.FilePath(id, "token");
  const auto token = path.ok() ? ReadFile(*path, kTokenCap) : path;
  return token.ok() ? *token : "";
}

EffectResult RestoreEffects::Check(const Record& record) {
  const auto fence = journal_.ReadFence();
  if (!fence.ok()) return Failed(fence.status());
  if (const auto reason = operations::JudgeStillHeld(*fence, record)) return EffectResult::Refused(*reason);
  const node::Installation installation = parts_.ReadK3s();
  if (!installation.found()) {
    return EffectResult::Refused(MakeReason(v1::LOCAL_FAILURE, parts_.config.node, "no k3s unit was found",
                                            "see `k3saga nodes show`; repair k3s's unit first"));
  }
  EffectResult result = EffectResult::Done();
  if (record.spec->has_restore_datastore()) {
    result = CheckBackup(record.spec->restore_datastore(), installation);
  } else if (record.spec->has_rejoin()) {
    result = CheckRejoin(record.spec->rejoin(), installation);
  }
  const auto process = process_.Main();
  if (!process.ok()) return Failed(process.status());
  result.notes[kProcessBefore] = *process;
  result.notes[kRunsEtcd] = installation.runs_etcd ? "yes" : "no";
  return result;
}

EffectResult RestoreEffects::CheckBackup(const v1::RestoreDatastoreSpec& spec,
                                         const node::Installation& installation) {
  const auto unusable = [&](const std::string& detail) {
    return EffectResult::Refused(MakeReason(v1::BACKUP_UNUSABLE, spec.backup_id(), detail,
                                            "see `k3saga backups`; `k3saga backup verify` reads all of one"));
  };
  // All of it is read: nothing is moved for a backup that turns out damaged later.
  const auto found = parts_.backups.Find(spec.backup_id());
  if (!found.ok()) {
    return unusable(absl::IsNotFound(found.status()) ? "this agent has no such backup"
                                                     : std::string(found.status().message()));
  }
  if (!spec.sha256().empty() && found->sha256() != spec.sha256()) {
    return unusable("its datastore is not the one that was asked for: another hash");
  }
  const auto backup = parts_.backups.Describe(spec.backup_id());
  if (!backup.ok()) return unusable(std::string(backup.status().message()));
  if (auto judged = node::JudgeRestore(installation, *backup, BackupToken(spec.backup_id())); !judged.ok()) {
    return Refused(judged);
  }
  if (installation.datastore == v1::DATASTORE_EMBEDDED_ETCD && !installation.runs_etcd) {
    return EffectResult::Refused(MakeReason(v1::NODE_LAYOUT_UNSUPPORTED, parts_.config.node,
                                            "this server runs no etcd (--disable-etcd)",
                                            "restore on a server that does"));
  }
  // The snapshot becomes a database and a log of about its size.
  const auto free = FreeBytes(installation.data_dir);
  const uint64_t needed = 2 * backup->bytes() + kReserve;
  if (free.ok() && *free < needed) {
    return EffectResult::Refused(
        MakeReason(v1::DISK_SPACE, installation.data_dir,
                   absl::StrCat("the restore needs ", needed >> 20, " MiB, ", *free >> 20, " MiB are free"),
                   "make room; the old datastore stays beside the new one for now"));
  }
  return EffectResult::Done();
}

EffectResult RestoreEffects::CheckRejoin(const v1::RejoinSpec& spec, const node::Installation& installation) {
  if (installation.role != v1::ROLE_SERVER || installation.datastore != v1::DATASTORE_EMBEDDED_ETCD) {
    return EffectResult::Refused(MakeReason(v1::NODE_LAYOUT_UNSUPPORTED, parts_.config.node,
                                            "only servers with embedded etcd rejoin a cluster"));
  }
  if (installation.runs_etcd && installation.server_url.empty() && spec.server_url().empty()) {
    return EffectResult::Refused(
        MakeReason(v1::NODE_LAYOUT_UNSUPPORTED, parts_.config.node,
                   "neither its unit nor the request names a server to join: without its datastore it would "
                   "begin a cluster of its own",
                   "name the restored server's URL"));
  }
  return EffectResult::Done();
}

EffectResult RestoreEffects::Halt(EffectContext& context) {
  const std::string unit = parts_.ReadK3s().unit;
  if (auto began = parts_.standstill.Begin(unit, *parts_.systemd); !began.ok()) return Failed(began);
  return ToResult(process_.Stop(unit, context), context, parts_.config.node);
}

absl::StatusOr<v1::Datastore> RestoreEffects::DatastoreOf(const Record& record) const {
  if (!record.spec->has_restore_datastore()) return v1::DATASTORE_EMBEDDED_ETCD;
  K3SAGA_ASSIGN_OR_RETURN(const v1::StoredBackup backup,
                          parts_.backups.Describe(record.spec->restore_datastore().backup_id()));
  return backup.datastore();
}

EffectResult RestoreEffects::SetAside(const Record& record) {
  const node::Installation installation = parts_.ReadK3s();
  const auto datastore = DatastoreOf(record);
  if (!datastore.ok()) return Failed(datastore.status());
  node::SetAside aside = AsideOf(record, installation.data_dir);
  absl::Status status = aside.CopyCredentials();
  if (status.ok()) status = aside.MoveDatastore(*datastore);
  if (status.ok() && record.spec->has_restore_datastore()) {
    const std::string token = BackupToken(record.spec->restore_datastore().backup_id());
    status = node::PlaceToken(installation, token, aside.folder());
  }
  if (!status.ok()) return Failed(status);
  EffectResult result = EffectResult::Done();
  result.notes[kAside] = aside.folder();
  return result;
}

EffectResult RestoreEffects::Reset(const Record& record, EffectContext& context) {
  const std::string& id = record.spec->restore_datastore().backup_id();
  const node::Installation installation = parts_.ReadK3s();
  const auto snapshot = parts_.backups.DatastorePath(id);
  if (!snapshot.ok()) return Failed(snapshot.status());
  const auto datastore = DatastoreOf(record);
  if (!datastore.ok()) return Failed(datastore.status());
  // Whatever a run before this one left is half a datastore.
  node::SetAside aside = AsideOf(record, installation.data_dir);
  if (auto moved = aside.MoveDatastore(*datastore); !moved.ok()) return Failed(moved);
  if (*datastore == v1::DATASTORE_SQLITE) {
    const std::string database = installation.data_dir + "/server/db/state.db";
    const absl::Status placed = ReplaceFileDurably(*snapshot, database, 0600);
    return placed.ok() ? EffectResult::Done() : Failed(placed);
  }
  const auto call = node::PlanReset(
      installation, *snapshot, BackupToken(id),
      JoinPath(parts_.config.state.state, absl::StrCat("reset/", BaseName(aside.folder()), ".yaml")));
  if (!call.ok()) return Failed(call.status());
  LogInfo(absl::StrCat("resetting etcd from ", *snapshot, "; what was there is in ", aside.folder()));
  return ToResult(node::RunReset(installation, *call, std::min(context.Remaining(), kLongestReset)), context,
                  parts_.config.node);
}

EffectResult RestoreEffects::Start() {
  const std::string unit = parts_.ReadK3s().unit;
  absl::Status status = parts_.standstill.End(*parts_.systemd);
  if (status.ok()) status = process_.Start(unit);
  return status.ok() ? EffectResult::Done() : Failed(status);
}

EffectResult RestoreEffects::Restart(const Record& record, EffectContext& context) {
  const node::Installation installation = parts_.ReadK3s();
  if (auto ended = parts_.standstill.End(*parts_.systemd); !ended.ok()) return Failed(ended);
  return ToResult(
      process_.Replace(installation.unit, installation.binary, Note(record, kProcessBefore), context),
      context, parts_.config.node);
}

EffectResult RestoreEffects::Verify(EffectContext& context) {
  const std::string version = parts_.ReadK3s().binary_version;
  return ToResult(parts_.checks->Await(version, Sayer(context), PatienceOf(context)), context,
                  parts_.config.node);
}

absl::Status RestoreEffects::OwnMemberVotes() {
  if (!parts_.local.Role().runs_etcd) return absl::OkStatus();
  const etcd::ClusterView view = parts_.etcd->View(kLookAtEtcd);
  const etcd::MemberView* me = view.Me();
  if (me != nullptr && me->answered && !me->learner && !me->member.learner()) return absl::OkStatus();
  return ReasonError(MakeReason(v1::MEMBER_LEARNER, parts_.config.node,
                                "its etcd member does not vote yet: it is catching up"),
                     absl::StatusCode::kUnavailable);
}

absl::Status RestoreEffects::JoinedOthers() {
  if (!parts_.local.Role().runs_etcd || parts_.etcd->View(kLookAtEtcd).members.size() > 1) {
    return absl::OkStatus();
  }
  return ReasonError(MakeReason(v1::RESTORE_FAILED, parts_.config.node,
                                "k3s began a cluster of its own instead of joining the restored server",
                                "see `systemctl cat k3s` and k3s's log there: it was told --server"));
}

absl::Status RestoreEffects::AwaitMember(std::string_view said_before, EffectContext& context) {
  const node::Installation installation = parts_.ReadK3s();
  for (;;) {
    const milliseconds look = std::min(context.Remaining(), kOneLook);
    absl::Status status = parts_.checks->Await(installation.binary_version, Sayer(context),
                                               Patience{look, context.StopToken()});
    if (status.ok()) status = OwnMemberVotes();
    if (status.ok() || context.Stopped()) return status;
    // What an earlier process complained of may be mended by now.
    const auto words = parts_.systemd->Journal(installation.unit, kLinesOfComplaint);
    if (words.ok() && WordsSince(said_before, *words).find(kNewerThanDatastore) != std::string_view::npos) {
      return ReasonError(
          MakeReason(v1::RESTORE_FAILED, parts_.config.node,
                     "k3s refuses to join: files in server/tls or server/cred are newer than the datastore"),
          absl::StatusCode::kFailedPrecondition);
    }
  }
}

EffectResult RestoreEffects::Join(const Record& record, EffectContext& context) {
  const node::Installation installation = parts_.ReadK3s();
  const std::string& server_url = record.spec->rejoin().server_url();
  absl::Status status;
  // Also when it names one by now: that may be the file of a run before this one.
  if (!server_url.empty() && Note(record, kRunsEtcd) == "yes")
    status = node::JoinThrough(installation, server_url, *parts_.systemd);
  if (status.ok()) status = parts_.standstill.End(*parts_.systemd);
  const std::string said_before = parts_.systemd->Journal(installation.unit, kLinesOfComplaint).value_or("");
  if (status.ok()) status = process_.Start(installation.unit);
  if (!status.ok()) return Failed(status);

  status = AwaitMember(said_before, context);
  if (absl::IsFailedPrecondition(status)) return Refused(status);
  if (status.ok()) status = JoinedOthers();
  if (status.ok()) status = node::EndJoining(installation, *parts_.systemd);
  return ToResult(status, context, parts_.config.node);
}

EffectResult RestoreEffects::SetCredentialsAside(const Record& record, EffectContext& context) {
  const node::Installation installation = parts_.ReadK3s();
  // It runs into its own refusal again and again; no boot needs to be kept from that.
  if (auto stopped = process_.Stop(installation.unit, context); !stopped.ok()) {
    return ToResult(stopped, context, parts_.config.node);
  }
  node::SetAside aside = AsideOf(record, installation.data_dir);
  absl::Status status = aside.MoveCredentials();
  // Whatever its etcd wrote before k3s gave up belongs to no cluster.
  if (status.ok()) status = aside.MoveDatastore(v1::DATASTORE_EMBEDDED_ETCD);
  return status.ok() ? EffectResult::Done() : Failed(status);
}

}  // namespace k3saga::service
