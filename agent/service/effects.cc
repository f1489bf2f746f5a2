#include "agent/service/effects.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <utility>

#include "agent/node/set_aside.h"
#include "agent/service/effect_tools.h"
#include "agent/service/launcher.h"
#include "common/host/files.h"

namespace k3saga::service {

using operations::EffectContext;
using operations::EffectResult;
using operations::Phase;
using operations::Record;

namespace {

// Besides the confirmed rollout's own, for whoever looks back one upgrade.
constexpr size_t kKeptRollouts = 1;
constexpr std::chrono::milliseconds kTidyLook{50};

// As a part of names in the Kubernetes API.
std::string OperationLabel(const v1::OperationId& id) {
  return absl::StrCat(id.rollout(), "-", id.sequence(), "-", id.attempt());
}

}  // namespace

NodeEffects::NodeEffects(NodeParts* parts, operations::Journal* journal)
    : parts_(*parts), install_(parts, journal), restore_(parts, journal) {}

EffectResult NodeEffects::Perform(Phase phase, const Record& record, EffectContext& context) {
  switch (phase) {
    case Phase::kClaim:
    case Phase::kSettled:
      return EffectResult::Done();  // the claim was recorded when it was accepted
    case Phase::kReleaseClaim:
      return ReleaseClaim(record, context);
    case Phase::kDownload:
      return Download(record, context);
    case Phase::kDropStaged:
      return DropStaged(record);
    case Phase::kSnapshot:
      return Snapshot(record, context);
    case Phase::kCordon:
      return Cordon(record, context);
    case Phase::kDrain:
      return Drain(record, context);
    case Phase::kUncordon:
      return Uncordon(record, context);
    case Phase::kMoveLeader:
      return MoveLeader(record, context);
    case Phase::kAwaitNode:
      return AwaitNode(record, context);
    case Phase::kApplyManifests:
      return ApplyManifests(record, context);
    case Phase::kRemoveManifests:
      return RemoveManifests(record, context);
    case Phase::kVeleroBackup:
      return VeleroBackup(record, context);
    case Phase::kVeleroRestore:
      return VeleroRestore(record, context);
    default:
      if (RestoreEffects::Knows(record.verb)) return restore_.Perform(phase, record, context);
      return install_.Perform(phase, record, context);
  }
}

EffectResult NodeEffects::ReleaseClaim(const Record& record, EffectContext& context) {
  if (!record.spec->release_claim().confirm()) return EffectResult::Done();
  absl::Status status = parts_.kept.Prune(kKeptRollouts, record.id.rollout());
  status.Update(RemoveSetAside(record, context));
  return ToResult(status, context, parts_.config.node);
}

// k3s's folders are read-only for the agent's own process: another one, outside its sandbox, removes what a
// restore moved aside there.
absl::Status NodeEffects::RemoveSetAside(const Record& record, EffectContext& context) {
  const std::string data_dir = parts_.ReadK3s().data_dir;
  const std::string folder = node::SetAside::FolderIn(data_dir);
  if (data_dir.empty() || !Exists(folder)) return absl::OkStatus();
  const node::TransientUnit unit = {
      .name = OperationUnit(record.id),
      .properties = {"Slice=k3saga.slice"},
      .argv = {"/bin/rm", "--recursive", "--force", "--one-file-system", "--", folder}};
  const absl::Status begun = parts_.systemd->RunTransient(unit);
  if (!begun.ok() && !absl::IsAlreadyExists(begun)) return begun;
  while (true) {
    const auto seen = parts_.systemd->Show(unit.name + ".service");
    const bool ended = seen.ok() && !seen->exists();
    if (!Exists(folder)) return absl::OkStatus();
    if (ended || context.Remaining() <= kTidyLook) {
      return absl::InternalError(absl::StrCat(folder, " could not be removed: see `journalctl -u ", unit.name,
                                              "`, then remove it; nothing needs it any more"));
    }
    if (!parts_.pauser.Pause(kTidyLook, context.StopToken())) return absl::CancelledError("asked to stop");
  }
}

EffectResult NodeEffects::Download(const Record& record, EffectContext& context) {
  node::StageOptions options;
  options.deadline = context.Remaining();
  options.progress = [&context](std::string_view file, uint64_t done, uint64_t total) {
    const uint64_t percent = total == 0 ? 0 : done * 100 / total;
    context.Report(absl::StrCat(std::string(file), ", ", done >> 20, " MiB"), static_cast<uint32_t>(percent));
    return !context.Stopped();
  };
  return ToResult(parts_.releases.Stage(record.spec->stage().release(), options).status(), context,
                  parts_.config.node);
}

EffectResult NodeEffects::DropStaged(const Record& record) {
  const std::string& version = record.spec->drop_staged().version();
  absl::Status status = parts_.releases.Drop(version);
  status.Update(parts_.uploads.Drop(version));
  return status.ok() ? EffectResult::Done() : EffectResult::Failed(ReasonOf(status, parts_.config.node));
}

EffectResult NodeEffects::Snapshot(const Record& record, EffectContext& context) {
  const v1::BackupSpec& spec = record.spec->backup();
  node::BackupOptions options;
  options.id = spec.name();
  // Whoever takes a backup by hand names it as they like.
  if (absl::StartsWith(spec.name(), record.id.rollout())) options.rollout = record.id.rollout();
  options.keep = spec.keep();
  options.deadline = context.Remaining();
  auto backup = parts_.backups.Take(parts_.ReadK3s(), options);
  EffectResult result = ToResult(backup.status(), context, parts_.config.node);
  if (backup.ok()) *result.details.mutable_backup() = *std::move(backup);
  return result;
}

EffectResult NodeEffects::Cordon(const Record& record, EffectContext& context) {
  const std::string& node = record.spec->cordon().node();
  const auto cordon = parts_.kube->Cordon(node, record.id.rollout(), PatienceOf(context));
  EffectResult result = ToResult(cordon.status(), context, node);
  if (cordon.ok()) *result.details.mutable_cordon() = *cordon;
  return result;
}

EffectResult NodeEffects::Drain(const Record& record, EffectContext& context) {
  const v1::DrainSpec& spec = record.spec->drain();
  const auto observe = [&context](const kube::DrainState& state) {
    const auto left = static_cast<uint32_t>(state.left.size());
    const uint32_t all = state.evicted + left;
    context.Report(kube::Describe(state), all == 0 ? 0 : state.evicted * 100 / all);
  };
  const auto drain = parts_.kube->Drain(spec.node(), spec.policy(), observe, PatienceOf(context));
  EffectResult result = ToResult(drain.status(), context, spec.node());
  if (drain.ok()) *result.details.mutable_drain() = *drain;
  return result;
}

EffectResult NodeEffects::Uncordon(const Record& record, EffectContext& context) {
  const std::string& node = record.spec->uncordon().node();
  return ToResult(parts_.kube->Uncordon(node, record.id.rollout(), PatienceOf(context)), context, node);
}

EffectResult NodeEffects::MoveLeader(const Record& record, EffectContext& context) {
  const auto& members = record.spec->move_leader().preferred_members();
  const std::vector<uint64_t> preferred(members.begin(), members.end());
  return ToResult(parts_.etcd->MoveLeader(preferred, PatienceOf(context)), context, parts_.config.node);
}

EffectResult NodeEffects::AwaitNode(const Record& record, EffectContext& context) {
  const v1::AwaitNodeSpec& spec = record.spec->await_node();
  const kube::AwaitedNode awaited{
      .name = spec.node(), .version = spec.version(), .version_is_news = spec.version_is_news()};
  const absl::Status status = parts_.kube->AwaitNode(awaited, Sayer(context), PatienceOf(context));
  return ToResult(status, context, spec.node());
}

EffectResult NodeEffects::ApplyManifests(const Record& record, EffectContext& context) {
  for (const std::string& manifest : record.spec->apply_manifests().manifests()) {
    const absl::Status status =
        parts_.kube->ApplyManifest(manifest, record.id.rollout(), PatienceOf(context));
    if (!status.ok()) return ToResult(status, context, parts_.config.node);
  }
  return EffectResult::Done();
}

EffectResult NodeEffects::RemoveManifests(const Record& record, EffectContext& context) {
  // All of them, whatever becomes of one.
  absl::Status first;
  for (const std::string& manifest : record.spec->remove_manifests().manifests()) {
    first.Update(parts_.kube->RemoveManifest(manifest, record.id.rollout(), PatienceOf(context)));
  }
  return ToResult(first, context, parts_.config.node);
}

EffectResult NodeEffects::VeleroBackup(const Record& record, EffectContext& context) {
  const v1::VeleroBackupSpec& spec = record.spec->velero_backup();
  const kube::VeleroBackupRequest request{.name = spec.name(),
                                          .namespaces = {spec.namespaces().begin(), spec.namespaces().end()},
                                          .rollout = record.id.rollout(),
                                          .operation = OperationLabel(record.id)};
  const auto name = parts_.kube->VeleroBackup(request, Sayer(context), PatienceOf(context));
  EffectResult result = ToResult(name.status(), context, parts_.config.node);
  // Under another name than asked for where that was taken.
  if (name.ok()) result.details.mutable_backup()->set_id(*name);
  return result;
}

EffectResult NodeEffects::VeleroRestore(const Record& record, EffectContext& context) {
  const kube::VeleroRestoreRequest request{.backup = record.spec->velero_restore().backup(),
                                           .rollout = record.id.rollout(),
                                           .operation = OperationLabel(record.id)};
  return ToResult(parts_.kube->VeleroRestore(request, Sayer(context), PatienceOf(context)), context,
                  parts_.config.node);
}

}  // namespace k3saga::service
