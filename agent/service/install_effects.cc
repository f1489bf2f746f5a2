#include "agent/service/install_effects.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <utility>

#include "agent/etcd/etcd.h"
#include "agent/node/configuration.h"
#include "agent/node/installer.h"
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
using std::chrono::milliseconds;

namespace {

// What phases remember for later ones, across processes (Record::notes).
constexpr char kProcessBefore[] = "process-before";     // the main process that the install replaces
constexpr char kProcessToLeave[] = "process-to-leave";  // the one that the way back replaces
constexpr char kBoot[] = "boot";                        // boot id when the operation began
constexpr char kStopBoot[] = "stop-boot";               // when k3s was about to be stopped, and in which boot
constexpr char kStopSteady[] = "stop-steady-ms";
constexpr char kStopWall[] = "stop-unix-ms";

constexpr milliseconds kLookAtCluster{5'000};
constexpr milliseconds kQuickLook{5'000};
constexpr milliseconds kLongestInstaller{300'000};
constexpr milliseconds kLongestUnpacking{60'000};

std::string Note(const Record& record, const char* key) {
  const auto found = record.notes.find(key);
  return found == record.notes.end() ? "" : found->second;
}

bool Healthy(health::HealthChecks& checks) {
  const std::vector<health::CheckResult> looks = checks.Look(kQuickLook);
  return std::all_of(looks.begin(), looks.end(), [](const auto& look) { return look.status.ok(); });
}

// Whose kept files a way back uses.
std::string KeptBy(const Record& record) {
  const std::string& named = record.spec->put_back().rollout();
  return record.spec->has_put_back() && !named.empty() ? named : record.id.rollout();
}

absl::Status NothingInstalled(const node::Installation& installation, const std::string& node) {
  std::string seen = "no k3s unit was found";
  if (!installation.problems.empty()) {
    seen = absl::StrJoin(installation.problems, "; ",
                         [](std::string* out, const v1::Reason& reason) { out->append(Describe(reason)); });
  }
  return ReasonError(
      MakeReason(v1::LOCAL_FAILURE, node, seen, "see `k3saga nodes show`; repair k3s's unit first"));
}

}  // namespace

EffectResult InstallEffects::Failed(const absl::Status& status) const {
  return EffectResult::Failed(ReasonOf(status, parts_.config.node));
}

EffectResult InstallEffects::Refused(const absl::Status& status) const {
  return EffectResult::Refused(ReasonOf(status, parts_.config.node));
}

EffectResult InstallEffects::Perform(Phase phase, const Record& record, EffectContext& context) {
  switch (phase) {
    case Phase::kCheck:
      return record.spec->has_put_back() ? CheckPutBack(record) : CheckInstall(record);
    case Phase::kKeep:
      return Keep(record);
    case Phase::kPlace:
      return Place(record);
    case Phase::kRunInstaller:
      return RunInstaller(record, context);
    case Phase::kCompare:
      return Compare(record);
    case Phase::kLastCheck:
    case Phase::kLastCheckAgain:
      return LastCheck(record, context);
    case Phase::kRestart:
      return Restart(record, context);
    case Phase::kVerify:
      return Verify(record, context);
    case Phase::kUndo:
      return Undo(record);
    case Phase::kRestoreFiles:
      return RestoreFiles(record);
    case Phase::kHalt:
      return Halt(record, context);
    case Phase::kRestoreOnly:
      return RestoreOnly(record);
    case Phase::kRestartOld:
      return RestartOld(record, context);
    case Phase::kVerifyOld:
      return VerifyOld(record, context);
    default:
      return EffectResult::Failed(MakeReason(
          v1::UNKNOWN_ACTION, parts_.config.node,
          absl::StrCat("phase ", std::string(operations::PhaseName(phase)), " has no effect in this agent")));
  }
}

EffectResult InstallEffects::CheckInstall(const Record& record) {
  const v1::InstallSpec& spec = record.spec->install();
  // An installer of an earlier attempt may have died between deleting the unit and writing it again.
  const auto repaired = parts_.kept.RepairMissingUnit(*parts_.systemd);
  if (!repaired.ok()) return Failed(repaired.status());
  const node::Installation installation = parts_.ReadK3s();
  if (!installation.found()) return Refused(NothingInstalled(installation, parts_.config.node));

  EffectResult result = EffectResult::Done();
  if (installation.process.version == spec.version() && installation.binary_version == spec.version()) {
    if (Healthy(*parts_.checks)) {
      result = EffectResult::Already();
      result.details.mutable_install()->set_installed_before(true);
      result.details.mutable_install()->set_running_version(spec.version());
      return result;
    }
  }
  const auto staged = parts_.releases.Find(spec.version());
  if (!staged.ok()) {
    return EffectResult::Refused(MakeReason(v1::NOT_STAGED, parts_.config.node,
                                            std::string(staged.status().message()),
                                            "stage the release first"));
  }
  if (spec.installer().kind() != v1::Installer::NONE) {
    const auto call = parts_.distribution.PlanInstaller(installation, staged->installer);
    if (!call.ok()) return Refused(call.status());
  }
  const auto process = process_.Main();
  if (!process.ok()) return Failed(process.status());
  result.notes[kProcessBefore] = *process;
  result.notes[kBoot] = parts_.boot_id;
  return result;
}

EffectResult InstallEffects::CheckPutBack(const Record& record) {
  const auto manifest = parts_.kept.Read(KeptBy(record));
  if (!manifest.ok()) return Refused(manifest.status());
  const node::Installation installation = parts_.ReadK3s();
  EffectResult result = EffectResult::Done();
  if (installation.found() && installation.process.version == manifest->version &&
      installation.binary_version == manifest->version) {
    // The old one runs; its files may still be half replaced, and putting them back stops nothing.
    const absl::Status restored = parts_.kept.Restore(KeptBy(record), *parts_.systemd);
    if (!restored.ok()) return Failed(restored);
    if (Healthy(*parts_.checks)) result = EffectResult::Already();
  }
  const auto process = process_.Main();
  if (!process.ok()) return Failed(process.status());
  result.notes[kProcessToLeave] = *process;
  result.notes[kBoot] = parts_.boot_id;
  return result;
}

void InstallEffects::BeginUnpacking(const Record& record) {
  const auto staged = parts_.releases.Find(record.spec->install().version());
  if (!staged.ok()) return;
  unpacked_ =
      std::async(std::launch::async, [this, binary = staged->binary, installation = parts_.ReadK3s()] {
        return parts_.distribution.Unpack(binary, installation, kLongestUnpacking);
      });
}

absl::Status InstallEffects::AwaitUnpacked() {
  return unpacked_.valid() ? unpacked_.get() : absl::OkStatus();
}

EffectResult InstallEffects::Keep(const Record& record) {
  BeginUnpacking(record);
  const auto manifest = parts_.kept.Keep(record.id.rollout(), parts_.ReadK3s());
  return manifest.ok() ? EffectResult::Done() : Failed(manifest.status());
}

EffectResult InstallEffects::Place(const Record& record) {
  const v1::InstallSpec& spec = record.spec->install();
  const auto manifest = parts_.kept.Peek(record.id.rollout());
  if (!manifest.ok()) return Failed(manifest.status());
  const auto staged = parts_.releases.Find(spec.version());
  if (!staged.ok()) return Failed(staged.status());
  const absl::Status placed = node::PlaceBinary(staged->binary, manifest->binary);
  if (!placed.ok()) return Failed(placed);
  if (!spec.images() || staged->images.empty()) return EffectResult::Done();
  const absl::Status images = parts_.distribution.PlaceImages(staged->images, parts_.ReadK3s());
  return images.ok() ? EffectResult::Done() : Failed(images);
}

EffectResult InstallEffects::RunInstaller(const Record& record, EffectContext& context) {
  const v1::InstallSpec& spec = record.spec->install();
  if (spec.installer().kind() == v1::Installer::NONE) return EffectResult::Already();
  const std::string& rollout = record.id.rollout();
  const auto manifest = parts_.kept.Peek(rollout);
  if (!manifest.ok()) return Failed(manifest.status());
  // An earlier run may have died in the middle; this one has to find what the first one found, and systemd
  // too.
  absl::Status restored = parts_.kept.RestoreConfiguration(rollout, *parts_.systemd);
  if (record.starts > 1) restored.Update(parts_.systemd->DaemonReload());
  if (!restored.ok()) return Failed(restored);
  const auto staged = parts_.releases.Find(spec.version());
  if (!staged.ok()) return Failed(staged.status());
  const auto call = parts_.distribution.PlanInstaller(parts_.ReadK3s(), staged->installer);
  if (!call.ok()) return Failed(call.status());
  LogInfo(absl::StrCat("running the installer: ", call->Describe()));
  const absl::Status ran =
      node::RunInstaller(*call, std::min(context.Remaining(), kLongestInstaller), *parts_.systemd);
  if (!ran.ok()) return ToResult(ran, context, parts_.config.node);

  const node::Installation after = parts_.ReadK3s();
  const auto kept_environment = parts_.kept.KeptCopy(rollout, after.environment_file);
  const absl::Status mended = parts_.distribution.MendEnvironment(
      manifest->meaning, kept_environment.ok() ? *kept_environment : std::string(), after);
  return mended.ok() ? EffectResult::Done() : Failed(mended);
}

EffectResult InstallEffects::Compare(const Record& record) {
  const v1::InstallSpec& spec = record.spec->install();
  const auto manifest = parts_.kept.Peek(record.id.rollout());
  if (!manifest.ok()) return Failed(manifest.status());
  const node::Installation after = parts_.ReadK3s();
  if (!after.found()) return Failed(NothingInstalled(after, parts_.config.node));
  if (after.binary_version != spec.version()) {
    return EffectResult::Failed(MakeReason(v1::WRONG_VERSION_RUNNING, parts_.config.node,
                                           absl::StrCat(after.binary, " says it is ", after.binary_version,
                                                        " where ", spec.version(), " was placed")));
  }
  const std::vector<std::string> changes =
      parts_.distribution.Compare(manifest->meaning, node::MeaningOf(after));
  if (!changes.empty() && !spec.allow_changed_configuration()) {
    return EffectResult::Refused(
        MakeReason(v1::CONFIGURATION_WOULD_CHANGE, parts_.config.node, absl::StrJoin(changes, "; "),
                   "agree with --allow-changed-configuration, or use `installer: none`"));
  }
  EffectResult result = EffectResult::Done();
  for (const std::string& change : changes) result.details.mutable_install()->add_changes(change);
  return result;
}

EffectResult InstallEffects::LastCheck(const Record& record, EffectContext& context) {
  if (auto unpacked = AwaitUnpacked(); !unpacked.ok()) return Refused(unpacked);
  const auto fence = journal_.ReadFence();
  if (!fence.ok()) return Failed(fence.status());
  if (const auto reason = operations::JudgeStillHeld(*fence, record)) return EffectResult::Refused(*reason);

  const node::Installation installation = parts_.ReadK3s();
  const bool putting_back = record.spec->has_put_back();
  std::string wanted = installation.binary;
  if (putting_back) {
    const auto manifest = parts_.kept.Peek(KeptBy(record));
    if (!manifest.ok()) return Failed(manifest.status());
    const auto copy = parts_.kept.KeptCopy(KeptBy(record), manifest->binary);
    if (!copy.ok()) return Failed(copy.status());
    wanted = *copy;
  }
  // Already replaced, or not running at all: there is nothing to stop, so nothing to refuse.
  const auto process = process_.Main();
  const auto replaced =
      process_.Replaced(wanted, Note(record, putting_back ? kProcessToLeave : kProcessBefore));
  if (!process.ok()) return Failed(process.status());
  if (!replaced.ok()) return Failed(replaced.status());
  if (*process == K3sProcess::kNone || *replaced) return EffectResult::Done();

  const v1::LastCheck& check =
      putting_back ? record.spec->put_back().last_check() : record.spec->install().last_check();
  if (installation.runs_etcd) {
    const absl::Status status = etcd::CheckBeforeStop(*parts_.etcd, check, parts_.config.node,
                                                      std::min(context.Remaining(), kLookAtCluster));
    if (!status.ok()) return Refused(status);
  }
  EffectResult result = EffectResult::Done();
  result.notes[kStopBoot] = parts_.boot_id;
  result.notes[kStopSteady] = absl::StrCat(parts_.clock.Steady().count());
  result.notes[kStopWall] = absl::StrCat(parts_.clock.WallUnixMillis());
  return result;
}

EffectResult InstallEffects::RebootIfRequired(const Record& record, EffectContext& context, bool* needed) {
  v1::NodeFacts machine;
  node::ReadMachine(parts_.config.host, &machine);
  *needed = record.spec->install().reboot() == v1::REBOOT_IF_REQUIRED && machine.reboot_required() &&
            Note(record, kBoot) == parts_.boot_id;
  if (!*needed) return EffectResult::Done();
  context.Report("rebooting", 0);
  const absl::Status status = parts_.systemd->Reboot();
  if (!status.ok()) return Failed(status);
  // The end comes from outside; after it this phase is run again, in another boot.
  while (context.Wait(context.Remaining())) {
  }
  return EffectResult::Interrupted();
}

EffectResult InstallEffects::Restart(const Record& record, EffectContext& context) {
  bool reboots = false;
  const EffectResult rebooted = RebootIfRequired(record, context, &reboots);
  if (reboots) return rebooted;
  const node::Installation installation = parts_.ReadK3s();
  if (!installation.found()) return Failed(NothingInstalled(installation, parts_.config.node));
  // A node that was made to stand still by a restore that failed is started by this.
  if (auto ended = parts_.standstill.End(*parts_.systemd); !ended.ok()) return Failed(ended);
  return ToResult(
      process_.Replace(installation.unit, installation.binary, Note(record, kProcessBefore), context),
      context, parts_.config.node);
}

EffectResult InstallEffects::Verify(const Record& record, EffectContext& context) {
  const v1::InstallSpec& spec = record.spec->install();
  EffectResult result = ToResult(parts_.checks->Await(spec.version(), Sayer(context), PatienceOf(context)),
                                 context, parts_.config.node);
  if (result.kind != EffectResult::Kind::kDone) return result;
  v1::InstallResult& install = *result.details.mutable_install();
  install.set_running_version(spec.version());
  install.set_down_ms(DownMillis(record));
  install.set_rebooted(Note(record, kBoot) != parts_.boot_id);
  return result;
}

uint64_t InstallEffects::DownMillis(const Record& record) const {
  const bool same_boot = Note(record, kStopBoot) == parts_.boot_id;
  const int64_t now = same_boot ? parts_.clock.Steady().count() : parts_.clock.WallUnixMillis();
  int64_t stopped = 0;
  if (!absl::SimpleAtoi(Note(record, same_boot ? kStopSteady : kStopWall), &stopped)) return 0;
  return static_cast<uint64_t>(std::max<int64_t>(0, now - stopped));
}

EffectResult InstallEffects::Undo(const Record& record) {
  const auto now = process_.Main();
  if (!now.ok()) return Failed(now.status());
  const node::Installation installation = parts_.ReadK3s();
  const bool new_runs = *now != K3sProcess::kNone && *now != Note(record, kProcessBefore) &&
                        installation.process.version == record.spec->install().version();
  if (new_runs) {
    return EffectResult::Refused(MakeReason(v1::WRONG_VERSION_RUNNING, parts_.config.node,
                                            "the new version was started from outside (a reboot?)"));
  }
  const absl::Status status = parts_.kept.Restore(record.id.rollout(), *parts_.systemd);
  return status.ok() ? EffectResult::Done() : Failed(status);
}

EffectResult InstallEffects::RestoreFiles(const Record& record) {
  EffectResult result = EffectResult::Done();
  // Put back noted it in its check; an install on its way back notes it here, in the last phase before the
  // restart.
  if (!record.spec->has_put_back()) {
    const auto process = process_.Main();
    if (!process.ok()) return Failed(process.status());
    result.notes[kProcessToLeave] = *process;
  }
  const absl::Status status = parts_.kept.Restore(KeptBy(record), *parts_.systemd);
  return status.ok() ? result : Failed(status);
}

EffectResult InstallEffects::Halt(const Record& record, EffectContext& context) {
  const auto manifest = parts_.kept.Read(KeptBy(record));
  if (!manifest.ok()) return Refused(manifest.status());
  if (auto began = parts_.standstill.Begin(manifest->unit, *parts_.systemd); !began.ok())
    return Failed(began);
  return ToResult(process_.Stop(manifest->unit, context), context, parts_.config.node);
}

EffectResult InstallEffects::RestoreOnly(const Record& record) {
  const absl::Status status = parts_.kept.RestoreStandingStill(KeptBy(record), *parts_.systemd);
  return status.ok() ? EffectResult::Done() : Failed(status);
}

EffectResult InstallEffects::RestartOld(const Record& record, EffectContext& context) {
  const auto manifest = parts_.kept.Read(KeptBy(record));
  if (!manifest.ok()) return Failed(manifest.status());
  if (auto ended = parts_.standstill.End(*parts_.systemd); !ended.ok()) return Failed(ended);
  return ToResult(process_.Replace(manifest->unit, manifest->binary, Note(record, kProcessToLeave), context),
                  context, parts_.config.node);
}

EffectResult InstallEffects::VerifyOld(const Record& record, EffectContext& context) {
  const auto manifest = parts_.kept.Read(KeptBy(record));
  if (!manifest.ok()) return Failed(manifest.status());
  return ToResult(parts_.checks->Await(manifest->version, Sayer(context), PatienceOf(context)), context,
                  parts_.config.node);
}

}  // namespace k3saga::service
