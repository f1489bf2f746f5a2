#include "agent/operations/machine.h"

#include <algorithm>
#include <utility>

#include "common/reason.h"

namespace k3saga::operations {
namespace {

using enum Phase;

// What can happen to an operation. Bits, so that a line of the table can name several.
enum Input : unsigned {
  kDone = 1u << 0,
  kAlready = 1u << 1,
  kRefused = 1u << 2,
  kFailed = 1u << 3,
  kDeadline = 1u << 4,
  kCancel = 1u << 5,
  kCrashLoop = 1u << 6,
  kRestarted = 1u << 7,  // a process takes the record up again; without a line: the same phase again
};
constexpr unsigned kGood = kDone | kAlready;
constexpr unsigned kTrouble = kFailed | kDeadline | kCrashLoop;

// Where a line leads.
struct Target {
  enum class Kind : uint8_t {
    kGo,    // on to `next`
    kTurn,  // the way back begins at `next`; it will settle as failed, or as refused if that was the input
    kByPolicy,  // kTurn to `next` if the install allows the agent to put back, else settle as failed and
                // broken
    kSettle,    // by the input: good succeeds, refused is refused, all else fails
  };
  Kind kind = Kind::kSettle;
  Phase next = kSettled;
  v1::Outcome::NodeState left = v1::Outcome::UNTOUCHED;
};

constexpr Target Go(Phase next) { return {Target::Kind::kGo, next, v1::Outcome::UNTOUCHED}; }
constexpr Target Turn(Phase next) { return {Target::Kind::kTurn, next, v1::Outcome::UNTOUCHED}; }
constexpr Target PutBackIfAllowed() { return {Target::Kind::kByPolicy, kRestoreFiles, v1::Outcome::BROKEN}; }
constexpr Target Settle(v1::Outcome::NodeState left) { return {Target::Kind::kSettle, kSettled, left}; }
constexpr Target kSame = Settle(v1::Outcome::UNTOUCHED);
constexpr Target kChanged = Settle(v1::Outcome::CHANGED);
constexpr Target kPutBackDone = Settle(v1::Outcome::PUT_BACK);
constexpr Target kBroken = Settle(v1::Outcome::BROKEN);

struct Line {
  Verb verb;
  Phase phase;
  unsigned inputs;
  Target target;
};

// clang-format off
// The whole life of every operation. No line for an input: it changes nothing there.
constexpr Line kTable[] = {
    // Until the restart, an install that cannot go on leaves the files as they were and k3s alone.
    {Verb::kInstall, kCheck,        kDone,                          Go(kKeep)},
    {Verb::kInstall, kCheck,        kAlready,                       kChanged},
    {Verb::kInstall, kCheck,        kRefused | kTrouble | kCancel,  kSame},
    {Verb::kInstall, kKeep,         kGood,                          Go(kPlace)},
    {Verb::kInstall, kKeep,         kRefused | kTrouble | kCancel,  kSame},
    {Verb::kInstall, kPlace,        kGood,                          Go(kRunInstaller)},
    {Verb::kInstall, kPlace,        kRefused | kTrouble | kCancel,  Turn(kUndo)},
    {Verb::kInstall, kRunInstaller, kGood,                          Go(kCompare)},
    {Verb::kInstall, kRunInstaller, kRefused | kTrouble | kCancel,  Turn(kUndo)},
    {Verb::kInstall, kCompare,      kGood,                          Go(kLastCheck)},
    {Verb::kInstall, kCompare,      kRefused | kTrouble | kCancel,  Turn(kUndo)},
    {Verb::kInstall, kLastCheck,    kGood,                          Go(kRestart)},
    {Verb::kInstall, kLastCheck,    kRefused | kTrouble | kCancel,  Turn(kUndo)},
    // From here on k3s may be down: nothing but health, or the way back, ends it.
    {Verb::kInstall, kRestart,      kGood,                          Go(kVerify)},
    {Verb::kInstall, kRestart,      kRestarted,                     Go(kLastCheck)},
    {Verb::kInstall, kRestart,      kRefused | kTrouble,            PutBackIfAllowed()},
    {Verb::kInstall, kVerify,       kGood,                          kChanged},
    {Verb::kInstall, kVerify,       kRefused | kTrouble,            PutBackIfAllowed()},
    // Ways back.
    {Verb::kInstall, kUndo,         kGood,                          kSame},
    {Verb::kInstall, kUndo,         kRefused,                       Go(kRestoreFiles)},
    {Verb::kInstall, kUndo,         kTrouble,                       kBroken},
    {Verb::kInstall, kRestoreFiles, kGood,                          Go(kRestartOld)},
    {Verb::kInstall, kRestoreFiles, kRefused | kTrouble,            kBroken},
    {Verb::kInstall, kRestartOld,   kGood,                          Go(kVerifyOld)},
    {Verb::kInstall, kRestartOld,   kRefused | kTrouble,            kBroken},
    {Verb::kInstall, kVerifyOld,    kGood,                          kPutBackDone},
    {Verb::kInstall, kVerifyOld,    kRefused | kTrouble,            kBroken},

    {Verb::kPutBack, kCheck,        kDone,                          Go(kLastCheck)},
    {Verb::kPutBack, kCheck,        kAlready,                       kPutBackDone},
    {Verb::kPutBack, kCheck,        kRefused | kTrouble | kCancel,  kSame},
    {Verb::kPutBack, kLastCheck,    kGood,                          Go(kRestoreFiles)},
    {Verb::kPutBack, kLastCheck,    kRefused | kTrouble | kCancel,  kSame},
    // The cluster may be another one by the time that a process takes it up again: looked at once more. What is
    // refused then is not as it was: the files may be back, and k3s still runs from the others.
    {Verb::kPutBack, kRestoreFiles, kGood,                          Go(kRestartOld)},
    {Verb::kPutBack, kRestoreFiles, kRestarted,                     Go(kLastCheckAgain)},
    {Verb::kPutBack, kRestoreFiles, kRefused | kTrouble,            kBroken},
    {Verb::kPutBack, kRestartOld,   kGood,                          Go(kVerifyOld)},
    {Verb::kPutBack, kRestartOld,   kRestarted,                     Go(kLastCheckAgain)},
    {Verb::kPutBack, kRestartOld,   kRefused | kTrouble,            kBroken},
    {Verb::kPutBack, kLastCheckAgain, kGood,                        Go(kRestoreFiles)},
    {Verb::kPutBack, kLastCheckAgain, kRefused | kTrouble,          kBroken},
    {Verb::kPutBack, kVerifyOld,    kGood,                          kPutBackDone},
    {Verb::kPutBack, kVerifyOld,    kRefused | kTrouble,            kBroken},

    // With leave_stopped: files only, and k3s stands still from before to after.
    {Verb::kPutBack, kHalt,         kGood,                          Go(kRestoreOnly)},
    {Verb::kPutBack, kHalt,         kRefused | kCancel,             kSame},
    {Verb::kPutBack, kHalt,         kTrouble,                       kBroken},
    {Verb::kPutBack, kRestoreOnly,  kGood,                          kPutBackDone},
    {Verb::kPutBack, kRestoreOnly,  kRefused | kTrouble,            kBroken},

    {Verb::kStop,    kCheck,        kGood,                          Go(kHalt)},
    {Verb::kStop,    kCheck,        kRefused | kTrouble | kCancel,  kSame},
    {Verb::kStop,    kHalt,         kGood,                          kChanged},
    {Verb::kStop,    kHalt,         kRefused | kTrouble,            kBroken},

    // Nothing here turns back: the datastore that was there before is what the restore is to undo. What was set
    // aside stays where it is, and another attempt begins anew.
    {Verb::kRestoreDatastore, kCheck,    kGood,                         Go(kHalt)},
    {Verb::kRestoreDatastore, kCheck,    kRefused | kTrouble | kCancel, kSame},
    {Verb::kRestoreDatastore, kHalt,     kGood,                         Go(kSetAside)},
    {Verb::kRestoreDatastore, kHalt,     kRefused | kTrouble,           kBroken},
    {Verb::kRestoreDatastore, kSetAside, kGood,                         Go(kReset)},
    {Verb::kRestoreDatastore, kSetAside, kRefused | kTrouble,           kBroken},
    {Verb::kRestoreDatastore, kReset,    kGood,                         Go(kStart)},
    {Verb::kRestoreDatastore, kReset,    kRefused | kTrouble,           kBroken},
    {Verb::kRestoreDatastore, kStart,    kGood,                         Go(kVerify)},
    {Verb::kRestoreDatastore, kStart,    kRefused | kTrouble,           kBroken},
    {Verb::kRestoreDatastore, kVerify,   kGood,                         kChanged},
    {Verb::kRestoreDatastore, kVerify,   kRefused | kTrouble,           kBroken},

    {Verb::kRejoin, kCheck,               kGood,                         Go(kHalt)},
    {Verb::kRejoin, kCheck,               kRefused | kTrouble | kCancel, kSame},
    {Verb::kRejoin, kHalt,                kGood,                         Go(kSetAside)},
    {Verb::kRejoin, kHalt,                kRefused | kTrouble,           kBroken},
    {Verb::kRejoin, kSetAside,            kGood,                         Go(kJoin)},
    {Verb::kRejoin, kSetAside,            kRefused | kTrouble,           kBroken},
    {Verb::kRejoin, kJoin,                kGood,                         kChanged},
    {Verb::kRejoin, kJoin,                kRefused,                      Go(kSetCredentialsAside)},
    {Verb::kRejoin, kJoin,                kTrouble,                      kBroken},
    {Verb::kRejoin, kSetCredentialsAside, kGood,                         Go(kJoinAgain)},
    {Verb::kRejoin, kSetCredentialsAside, kRefused | kTrouble,           kBroken},
    {Verb::kRejoin, kJoinAgain,           kGood,                         kChanged},
    {Verb::kRejoin, kJoinAgain,           kRefused | kTrouble,           kBroken},

    {Verb::kRestart, kCheck,        kGood,                          Go(kRestart)},
    {Verb::kRestart, kCheck,        kRefused | kTrouble | kCancel,  kSame},
    {Verb::kRestart, kRestart,      kGood,                          Go(kVerify)},
    {Verb::kRestart, kRestart,      kRefused | kTrouble,            kBroken},
    {Verb::kRestart, kVerify,       kGood,                          kChanged},
    {Verb::kRestart, kVerify,       kRefused | kTrouble,            kBroken},

    // Verbs of one effect.
    {Verb::kClaim,        kClaim,        kGood | kRefused | kTrouble,            kSame},
    {Verb::kReleaseClaim, kReleaseClaim, kGood | kRefused | kTrouble,            kSame},
    {Verb::kStage,        kDownload,     kGood | kRefused | kTrouble | kCancel,  kSame},
    {Verb::kDropStaged,   kDropStaged,   kGood | kRefused | kTrouble,            kSame},
    {Verb::kBackup,       kSnapshot,     kGood | kRefused | kTrouble | kCancel,  kSame},
    // Never late: whoever asked may have gone on without, and nobody would take it off again.
    {Verb::kCordon,       kCordon,       kGood | kRefused | kTrouble | kRestarted, kSame},
    {Verb::kDrain,        kDrain,        kGood | kRefused | kTrouble | kCancel,  kSame},
    {Verb::kUncordon,     kUncordon,     kGood | kRefused | kTrouble,            kSame},
    {Verb::kMoveLeader,   kMoveLeader,   kGood | kRefused | kTrouble,            kSame},
    {Verb::kAwaitNode,    kAwaitNode,    kGood | kRefused | kTrouble | kCancel,  kSame},
    {Verb::kApplyManifests,  kApplyManifests,  kGood | kRefused | kTrouble | kRestarted, kSame},
    {Verb::kRemoveManifests, kRemoveManifests, kGood | kRefused | kTrouble,            kSame},
    {Verb::kVeleroBackup,    kVeleroBackup,    kGood | kRefused | kTrouble | kCancel,  kSame},
    {Verb::kVeleroRestore,   kVeleroRestore,   kGood | kRefused | kTrouble | kCancel,  kSame},
};
// clang-format on

const Line* Find(Verb verb, Phase phase, Input input) {
  const Line* line = std::find_if(std::begin(kTable), std::end(kTable), [&](const Line& each) {
    return each.verb == verb && each.phase == phase && (each.inputs & input) != 0;
  });
  return line == std::end(kTable) ? nullptr : line;
}

Phase FirstPhase(Verb verb, const v1::OperationSpec& spec) {
  if (verb == Verb::kPutBack && spec.put_back().leave_stopped()) return kHalt;
  const Line* line =
      std::find_if(std::begin(kTable), std::end(kTable), [&](const Line& each) { return each.verb == verb; });
  return line == std::end(kTable) ? kSettled : line->phase;
}

v1::Outcome::Code CodeFor(Input input) {
  if ((input & kGood) != 0) return v1::Outcome::SUCCEEDED;
  return input == kRefused ? v1::Outcome::REFUSED : v1::Outcome::FAILED;
}

// Not for the other members' trouble: the old binary would find no leader either, and stopping this member
// again makes it worse.
bool MayPutBack(const Record& record, const v1::Reason& why) {
  return record.verb == Verb::kInstall && record.spec->install().at_deadline() == v1::InstallSpec::PUT_BACK &&
         why.code() != v1::NO_LEADER;
}

// The way back keeps the code and reason it began with; the last word is only about what the node is left
// like.
void SettleRecord(Record& record, Input input, v1::Outcome::NodeState left, v1::Reason reason) {
  const bool came_back = record.turned && (input & kGood) != 0;
  if (!record.turned) record.outcome.set_code(CodeFor(input));
  // A refusal promises that nothing was done.
  if (record.outcome.code() == v1::Outcome::REFUSED && left != v1::Outcome::UNTOUCHED) {
    record.outcome.set_code(v1::Outcome::FAILED);
  }
  if (record.outcome.code() != v1::Outcome::SUCCEEDED && !came_back) {
    if (record.turned) {
      reason.set_detail("after: " + Describe(record.outcome.reason()) + "; then: " + reason.detail());
    }
    *record.outcome.mutable_reason() = std::move(reason);
  }
  record.outcome.set_node_state(left);
  record.phase = kSettled;
}

void TurnBack(Record& record, Input input, Phase next, v1::Reason reason) {
  record.outcome.set_code(CodeFor(input));
  *record.outcome.mutable_reason() = std::move(reason);
  record.turned = true;
  record.starts_before_turning = record.starts;
  record.phase = next;
}

// False: no line, nothing changed.
bool Feed(Record& record, Input input, v1::Reason reason) {
  const Line* line = Find(record.verb, record.phase, input);
  if (line == nullptr) return false;
  const Target& target = line->target;
  switch (target.kind) {
    case Target::Kind::kGo:
      record.phase = target.next;
      return true;
    case Target::Kind::kByPolicy:
      if (MayPutBack(record, reason)) {
        TurnBack(record, input, target.next, std::move(reason));
      } else {
        SettleRecord(record, input, target.left, std::move(reason));
      }
      return true;
    case Target::Kind::kTurn:
      TurnBack(record, input, target.next, std::move(reason));
      return true;
    case Target::Kind::kSettle:
      SettleRecord(record, input, target.left, std::move(reason));
      return true;
  }
  return false;
}

v1::Reason About(const Record& record, v1::ReasonCode code, const std::string& detail,
                 std::string_view remedy = "") {
  return MakeReason(
      code, "",
      std::string(VerbName(record.verb)) + ", phase " + std::string(PhaseName(record.phase)) + ": " + detail,
      remedy);
}

Input InputOf(EffectResult::Kind kind) {
  switch (kind) {
    case EffectResult::Kind::kDone:
      return kDone;
    case EffectResult::Kind::kAlready:
      return kAlready;
    case EffectResult::Kind::kRefused:
      return kRefused;
    default:
      return kFailed;
  }
}

void MergeResult(const v1::Outcome& details, v1::Outcome& outcome) {
  if (details.result_case() == v1::Outcome::RESULT_NOT_SET) return;
  v1::Outcome result = details;
  result.clear_code();
  result.clear_reason();
  result.clear_node_state();
  outcome.MergeFrom(result);
}

}  // namespace

EffectResult EffectResult::Done() { return {Kind::kDone, {}, {}, {}}; }
EffectResult EffectResult::Already() { return {Kind::kAlready, {}, {}, {}}; }
EffectResult EffectResult::Refused(v1::Reason reason) { return {Kind::kRefused, std::move(reason), {}, {}}; }
EffectResult EffectResult::Failed(v1::Reason reason) { return {Kind::kFailed, std::move(reason), {}, {}}; }
EffectResult EffectResult::Interrupted() { return {Kind::kInterrupted, {}, {}, {}}; }

Record NewRecord(const v1::OperationId& id, const v1::Authority& authority,
                 std::shared_ptr<const v1::OperationSpec> spec) {
  Record record;
  record.id = id;
  record.authority = authority;
  record.verb = VerbOf(*spec);
  record.spec = std::move(spec);
  record.phase = FirstPhase(record.verb, *record.spec);
  return record;
}

void Begin(Record& record) {
  if (record.settled()) return;
  ++record.starts;
  if (record.starts - record.starts_before_turning > kMaxStarts) {
    Feed(record, kCrashLoop,
         About(record, v1::CRASH_LOOP,
               "its process ended " + std::to_string(kMaxStarts) + " times before the phase was done",
               "see the agent's log on the node"));
    return;
  }
  if (record.starts > 1) {
    Feed(record, kRestarted, About(record, v1::LOCAL_FAILURE, "its process ended before it was done"));
  }
}

void Advance(Record& record, const EffectResult& result) {
  if (record.settled() || result.kind == EffectResult::Kind::kInterrupted) return;
  for (const auto& [key, value] : result.notes) record.notes[key] = value;
  MergeResult(result.details, record.outcome);
  Feed(record, InputOf(result.kind), result.reason);
}

void PassDeadline(Record& record) {
  Feed(record, kDeadline,
       About(record, v1::TIMED_OUT, "not done within " + std::to_string(BudgetSeconds(record)) + " s"));
}

bool Cancel(Record& record) {
  return Feed(record, kCancel, About(record, v1::CANCELLED, "cancelled by the coordinator"));
}

bool Cancellable(const Record& record) { return Find(record.verb, record.phase, kCancel) != nullptr; }

void GiveUp(Record& record, v1::Reason reason) {
  if (record.settled()) return;
  record.outcome.set_code(v1::Outcome::FAILED);
  record.outcome.set_node_state(record.starts == 0 ? v1::Outcome::UNTOUCHED : v1::Outcome::BROKEN);
  *record.outcome.mutable_reason() = std::move(reason);
  record.phase = kSettled;
}

uint32_t BudgetSeconds(const Record& record) {
  const auto or_default = [](uint32_t seconds, uint32_t otherwise) {
    return seconds > 0 ? seconds : otherwise;
  };
  switch (record.verb) {
    case Verb::kInstall:
      return or_default(record.spec->install().deadline_seconds(), 300);
    case Verb::kPutBack:
      return or_default(record.spec->put_back().deadline_seconds(), 300);
    case Verb::kAwaitNode:
      return or_default(record.spec->await_node().deadline_seconds(), 300);
    case Verb::kStop:
      return or_default(record.spec->stop().deadline_seconds(), 120);
    case Verb::kRestoreDatastore:
      return or_default(record.spec->restore_datastore().deadline_seconds(), 900);
    case Verb::kRejoin:
      return or_default(record.spec->rejoin().deadline_seconds(), 600);
    case Verb::kRestart:
      return or_default(record.spec->restart().deadline_seconds(), 300);
    case Verb::kVeleroBackup:
      return or_default(record.spec->velero_backup().deadline_seconds(), 1800);
    case Verb::kVeleroRestore:
      return or_default(record.spec->velero_restore().deadline_seconds(), 1800);
    case Verb::kDrain:
      // The policy's own timeout decides; this is for what comes after it (force, proceed).
      return or_default(record.spec->drain().policy().timeout_seconds(), 300) + 120;
    case Verb::kStage:
      return 3600;
    case Verb::kBackup:
      return 600;
    default:
      return 60;
  }
}

}  // namespace k3saga::operations
