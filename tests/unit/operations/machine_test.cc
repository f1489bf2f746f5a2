#include "agent/operations/machine.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/reason.h"

namespace k3saga::operations {
namespace {

using v1::Outcome;

Record Make(const v1::OperationSpec& spec) {
  v1::OperationId id;
  id.set_rollout("r1");
  id.set_sequence(7);
  id.set_attempt(1);
  v1::Authority authority;
  authority.set_rollout("r1");
  authority.set_epoch(3);
  authority.set_holder("ada@laptop:1");
  return NewRecord(id, authority, std::make_shared<v1::OperationSpec>(spec));
}

Record Install(v1::InstallSpec::AtDeadline at_deadline = v1::InstallSpec::PUT_BACK) {
  v1::OperationSpec spec;
  spec.mutable_install()->set_version("v1.32.0+k3s1");
  spec.mutable_install()->set_deadline_seconds(90);
  spec.mutable_install()->set_at_deadline(at_deadline);
  return Make(spec);
}

Record PutBack() {
  v1::OperationSpec spec;
  spec.mutable_put_back();
  return Make(spec);
}

template <typename Fill>
Record With(Fill fill) {
  v1::OperationSpec spec;
  fill(spec);
  return Make(spec);
}
Record PutBackStopped() {
  return With([](v1::OperationSpec& spec) { spec.mutable_put_back()->set_leave_stopped(true); });
}
Record Stop() {
  return With([](v1::OperationSpec& spec) { spec.mutable_stop(); });
}
Record RestoreDatastore() {
  return With([](v1::OperationSpec& spec) { spec.mutable_restore_datastore(); });
}
Record Rejoin() {
  return With([](v1::OperationSpec& spec) { spec.mutable_rejoin(); });
}
Record Restart() {
  return With([](v1::OperationSpec& spec) { spec.mutable_restart(); });
}

EffectResult Failed() { return EffectResult::Failed(MakeReason(v1::LOCAL_FAILURE, "", "no luck")); }
EffectResult Refused() {
  return EffectResult::Refused(MakeReason(v1::QUORUM_WOULD_BE_LOST, "s1", "two of three"));
}

// Drives an operation with one letter an input: d done, a already, f failed, r refused, i interrupted, D
// deadline, C cancel, B a process begins. Returns the phases it went through, the first one included.
std::string Drive(Record& record, std::string_view script) {
  std::string trace(PhaseName(record.phase));
  for (const char letter : script) {
    switch (letter) {
      case 'd':
        Advance(record, EffectResult::Done());
        break;
      case 'a':
        Advance(record, EffectResult::Already());
        break;
      case 'f':
        Advance(record, Failed());
        break;
      case 'r':
        Advance(record, Refused());
        break;
      case 'n':
        Advance(record, EffectResult::Failed(MakeReason(v1::NO_LEADER, "s1", "etcd has no quorum")));
        break;
      case 'i':
        Advance(record, EffectResult::Interrupted());
        break;
      case 'D':
        PassDeadline(record);
        break;
      case 'C':
        Cancel(record);
        break;
      case 'B':
        Begin(record);
        break;
    }
    trace += ' ';
    trace += PhaseName(record.phase);
  }
  return trace;
}

struct Case {
  std::string name;
  Record record;
  std::string script;
  std::string trace;
  Outcome::Code code;
  Outcome::NodeState left;
  v1::ReasonCode reason;
};

TEST(MachineTest, GoesWhereTheTableSays) {
  const auto ok = v1::REASON_UNSPECIFIED;
  const std::vector<Case> cases = {
      {"an install", Install(), "Bdddddddd",
       "check check keep place installer compare last-check restart verify settled", Outcome::SUCCEEDED,
       Outcome::CHANGED, ok},
      {"nothing to do", Install(), "Ba", "check check settled", Outcome::SUCCEEDED, Outcome::CHANGED, ok},
      {"installer none", Install(), "Bdddadddd",
       "check check keep place installer compare last-check restart verify settled", Outcome::SUCCEEDED,
       Outcome::CHANGED, ok},
      {"check refuses", Install(), "Br", "check check settled", Outcome::REFUSED, Outcome::UNTOUCHED,
       v1::QUORUM_WOULD_BE_LOST},
      {"cannot keep", Install(), "Bdf", "check check keep settled", Outcome::FAILED, Outcome::UNTOUCHED,
       v1::LOCAL_FAILURE},
      {"installer fails", Install(), "Bdddfd", "check check keep place installer undo settled",
       Outcome::FAILED, Outcome::UNTOUCHED, v1::LOCAL_FAILURE},
      {"last check refuses", Install(), "Bdddddrd",
       "check check keep place installer compare last-check undo settled", Outcome::REFUSED,
       Outcome::UNTOUCHED, v1::QUORUM_WOULD_BE_LOST},
      {"undo fails", Install(), "Bdddff", "check check keep place installer undo settled", Outcome::FAILED,
       Outcome::BROKEN, v1::LOCAL_FAILURE},
      {"undo after a reboot", Install(), "Bdddfrddd",
       "check check keep place installer undo restore-files restart-old verify-old settled", Outcome::FAILED,
       Outcome::PUT_BACK, v1::LOCAL_FAILURE},
      {"unhealthy, put back", Install(), "BdddddddDddd",
       "check check keep place installer compare last-check restart verify restore-files restart-old "
       "verify-old "
       "settled",
       Outcome::FAILED, Outcome::PUT_BACK, v1::TIMED_OUT},
      {"unhealthy, left", Install(v1::InstallSpec::LEAVE), "BdddddddD",
       "check check keep place installer compare last-check restart verify settled", Outcome::FAILED,
       Outcome::BROKEN, v1::TIMED_OUT},
      {"the others' trouble reverts nothing", Install(), "Bdddddddn",
       "check check keep place installer compare last-check restart verify settled", Outcome::FAILED,
       Outcome::BROKEN, v1::NO_LEADER},
      {"the way back fails too", Install(), "BddddddffdD",
       "check check keep place installer compare last-check restart restore-files settled settled settled",
       Outcome::FAILED, Outcome::BROKEN, v1::LOCAL_FAILURE},
      {"old version unhealthy too", Install(), "BdddddddDddD",
       "check check keep place installer compare last-check restart verify restore-files restart-old "
       "verify-old "
       "settled",
       Outcome::FAILED, Outcome::BROKEN, v1::TIMED_OUT},
      {"cancelled before the restart", Install(), "BdddddCd",
       "check check keep place installer compare last-check undo settled", Outcome::FAILED,
       Outcome::UNTOUCHED, v1::CANCELLED},
      {"too late to cancel", Install(), "BddddddCdCd",
       "check check keep place installer compare last-check restart restart verify verify settled",
       Outcome::SUCCEEDED, Outcome::CHANGED, ok},
      {"a crash runs the same phase again", Install(), "BdddBddddd",
       "check check keep place installer installer compare last-check restart verify settled",
       Outcome::SUCCEEDED, Outcome::CHANGED, ok},
      {"a crash in the restart checks again", Install(), "BddddddBddd",
       "check check keep place installer compare last-check restart last-check restart verify settled",
       Outcome::SUCCEEDED, Outcome::CHANGED, ok},
      {"an interruption changes nothing", Install(), "BdidBidddddd",
       "check check keep keep place place place installer compare last-check restart verify settled",
       Outcome::SUCCEEDED, Outcome::CHANGED, ok},
      {"a crash loop before the restart", Install(), "BddBBBBBd",
       "check check keep place place place place place undo settled", Outcome::FAILED, Outcome::UNTOUCHED,
       v1::CRASH_LOOP},
      {"a crash loop both ways", Install(), "BdddddddBBBBBBBBBBB",
       "check check keep place installer compare last-check restart verify verify verify verify verify "
       "restore-files restore-files restore-files restore-files restore-files restore-files settled",
       Outcome::FAILED, Outcome::BROKEN, v1::CRASH_LOOP},
      {"put back", PutBack(), "Bddddd", "check check last-check restore-files restart-old verify-old settled",
       Outcome::SUCCEEDED, Outcome::PUT_BACK, ok},
      {"put back refused", PutBack(), "Bdr", "check check last-check settled", Outcome::REFUSED,
       Outcome::UNTOUCHED, v1::QUORUM_WOULD_BE_LOST},
      {"put back fails", PutBack(), "BdddD", "check check last-check restore-files restart-old settled",
       Outcome::FAILED, Outcome::BROKEN, v1::TIMED_OUT},
      {"put back taken up again looks once more", PutBack(), "BddBdddBr",
       "check check last-check restore-files last-check-again restore-files restart-old verify-old "
       "verify-old "
       "settled",
       Outcome::FAILED, Outcome::BROKEN, v1::QUORUM_WOULD_BE_LOST},
      {"put back whose restart was taken up again", PutBack(), "BdddBdddd",
       "check check last-check restore-files restart-old last-check-again restore-files restart-old "
       "verify-old "
       "settled",
       Outcome::SUCCEEDED, Outcome::PUT_BACK, ok},
      // Refused, and yet not untouched: a refusal would promise that nothing was done.
      {"put back taken up again is refused", PutBack(), "BdddBr",
       "check check last-check restore-files restart-old last-check-again settled", Outcome::FAILED,
       Outcome::BROKEN, v1::QUORUM_WOULD_BE_LOST},
      {"put back whose files were half back is refused", PutBack(), "BddBr",
       "check check last-check restore-files last-check-again settled", Outcome::FAILED, Outcome::BROKEN,
       v1::QUORUM_WOULD_BE_LOST},
      {"put back looks again as often as it has to", PutBack(), "BddBBdddd",
       "check check last-check restore-files last-check-again last-check-again restore-files restart-old "
       "verify-old settled",
       Outcome::SUCCEEDED, Outcome::PUT_BACK, ok},
      {"put back is not cancelled once its files may be back", PutBack(), "BddBCdddd",
       "check check last-check restore-files last-check-again last-check-again restore-files restart-old "
       "verify-old settled",
       Outcome::SUCCEEDED, Outcome::PUT_BACK, ok},
      {"a cordon comes never late", With([](v1::OperationSpec& spec) { spec.mutable_cordon(); }), "BB",
       "cordon cordon settled", Outcome::FAILED, Outcome::UNTOUCHED, v1::LOCAL_FAILURE},
      {"an uncordon may", With([](v1::OperationSpec& spec) { spec.mutable_uncordon(); }), "BBd",
       "uncordon uncordon uncordon settled", Outcome::SUCCEEDED, Outcome::UNTOUCHED, ok},
      {"put back, left stopped", PutBackStopped(), "Bdd", "halt halt restore-files-only settled",
       Outcome::SUCCEEDED, Outcome::PUT_BACK, ok},
      {"nothing kept to be put back", PutBackStopped(), "Br", "halt halt settled", Outcome::REFUSED,
       Outcome::UNTOUCHED, v1::QUORUM_WOULD_BE_LOST},
      {"does not stop to be put back", PutBackStopped(), "BD", "halt halt settled", Outcome::FAILED,
       Outcome::BROKEN, v1::TIMED_OUT},
      {"stop", Stop(), "Bdd", "check check halt settled", Outcome::SUCCEEDED, Outcome::CHANGED, ok},
      {"stop that takes too long", Stop(), "BdD", "check check halt settled", Outcome::FAILED,
       Outcome::BROKEN, v1::TIMED_OUT},
      {"a restore", RestoreDatastore(), "Bdddddd", "check check halt set-aside reset start verify settled",
       Outcome::SUCCEEDED, Outcome::CHANGED, ok},
      {"a restore from a damaged backup", RestoreDatastore(), "Br", "check check settled", Outcome::REFUSED,
       Outcome::UNTOUCHED, v1::QUORUM_WOULD_BE_LOST},
      {"a restore killed in its phases", RestoreDatastore(), "BdBdBdBdBdd",
       "check check halt halt set-aside set-aside reset reset start start verify settled", Outcome::SUCCEEDED,
       Outcome::CHANGED, ok},
      {"a restore that fails", RestoreDatastore(), "Bdddf", "check check halt set-aside reset settled",
       Outcome::FAILED, Outcome::BROKEN, v1::LOCAL_FAILURE},
      {"a restore cancelled in time", RestoreDatastore(), "BCd", "check check settled settled",
       Outcome::FAILED, Outcome::UNTOUCHED, v1::CANCELLED},
      {"a rejoin", Rejoin(), "Bdddd", "check check halt set-aside join settled", Outcome::SUCCEEDED,
       Outcome::CHANGED, ok},
      {"a rejoin with newer credentials", Rejoin(), "Bdddrdd",
       "check check halt set-aside join set-credentials-aside join-again settled", Outcome::SUCCEEDED,
       Outcome::CHANGED, ok},
      {"a rejoin that is refused again", Rejoin(), "Bdddrdr",
       "check check halt set-aside join set-credentials-aside join-again settled", Outcome::FAILED,
       Outcome::BROKEN, v1::QUORUM_WOULD_BE_LOST},
      {"a restart", Restart(), "Bddd", "check check restart verify settled", Outcome::SUCCEEDED,
       Outcome::CHANGED, ok},
      {"a restart of what stays ill", Restart(), "BddD", "check check restart verify settled",
       Outcome::FAILED, Outcome::BROKEN, v1::TIMED_OUT},
  };
  for (Case each : cases) {
    SCOPED_TRACE(each.name);
    EXPECT_EQ(Drive(each.record, each.script), each.trace);
    EXPECT_EQ(each.record.outcome.code(), each.code);
    EXPECT_EQ(each.record.outcome.node_state(), each.left);
    EXPECT_EQ(each.record.outcome.reason().code(), each.reason) << Describe(each.record.outcome.reason());
  }
}

std::vector<v1::OperationSpec> EverySpec() {
  std::vector<v1::OperationSpec> specs;
  const auto* verbs = v1::OperationSpec::descriptor()->oneof_decl(0);
  for (int i = 0; i < verbs->field_count(); ++i) {
    v1::OperationSpec spec;
    spec.GetReflection()->MutableMessage(&spec, verbs->field(i));
    if (VerbOf(spec) != Verb::kUnknown) specs.push_back(spec);
  }
  return specs;
}

TEST(MachineTest, EveryVerbOfTheProtocolIsKnownByItsName) {
  const auto* verbs = v1::OperationSpec::descriptor()->oneof_decl(0);
  for (int i = 0; i < verbs->field_count(); ++i) {
    v1::OperationSpec spec;
    spec.GetReflection()->MutableMessage(&spec, verbs->field(i));
    EXPECT_EQ(VerbName(VerbOf(spec)), verbs->field(i)->name());
  }
  EXPECT_EQ(VerbOf(v1::OperationSpec()), Verb::kUnknown);
}

// Whatever comes, and however often the process dies, an operation ends: every path of inputs up to a depth.
void Explore(const Record& record, int depth, int& paths) {
  if (record.settled()) {
    EXPECT_NE(record.outcome.code(), Outcome::CODE_UNSPECIFIED);
    EXPECT_EQ(record.outcome.has_reason() && record.outcome.reason().code() != v1::REASON_UNSPECIFIED,
              record.outcome.code() != Outcome::SUCCEEDED);
    if (record.outcome.code() == Outcome::REFUSED) {
      EXPECT_EQ(record.outcome.node_state(), Outcome::UNTOUCHED);
    }
    ++paths;
    return;
  }
  ASSERT_GT(depth, 0) << "stuck in " << PhaseName(record.phase);
  for (const char letter : {'d', 'a', 'f', 'r', 'D'}) {
    Record next = record;
    Drive(next, std::string_view(&letter, 1));
    EXPECT_NE(next.phase, record.phase) << letter << " leads nowhere from " << PhaseName(record.phase);
    Explore(next, depth - 1, paths);
  }
}

TEST(MachineTest, EveryEffectResultAndEveryDeadlineLeadsOnAndEnds) {
  for (const v1::OperationSpec& spec : EverySpec()) {
    SCOPED_TRACE(spec.ShortDebugString());
    Record record = Make(spec);
    Begin(record);
    int paths = 0;
    Explore(record, 12, paths);
    EXPECT_GE(paths, 5);
  }
}

TEST(MachineTest, EveryCrashLoopIsBroken) {
  for (const v1::OperationSpec& spec : EverySpec()) {
    SCOPED_TRACE(spec.ShortDebugString());
    Record record = Make(spec);
    for (uint32_t i = 0; i < 2 * kMaxStarts + 1; ++i) Begin(record);
    EXPECT_TRUE(record.settled());
    const bool never_late = spec.has_cordon() || spec.has_apply_manifests();
    EXPECT_EQ(record.outcome.reason().code(), never_late ? v1::LOCAL_FAILURE : v1::CRASH_LOOP);
  }
}

TEST(MachineTest, CancellableSaysWhatCancelDoes) {
  Record record = Install();
  EXPECT_TRUE(Cancellable(record));
  Drive(record, "Bdddddd");
  EXPECT_EQ(record.phase, Phase::kRestart);
  EXPECT_FALSE(Cancellable(record));
  EXPECT_FALSE(Cancel(record));
}

TEST(MachineTest, ResultsAndNotesAreKept) {
  Record record = Install();
  Begin(record);
  EffectResult check = EffectResult::Done();
  check.notes["boot"] = "b1";
  Advance(record, check);
  Drive(record, "dddddd");
  EffectResult verify = EffectResult::Done();
  verify.details.mutable_install()->set_running_version("v1.32.0+k3s1");
  verify.details.set_code(Outcome::UNKNOWN);  // not an effect's to say
  Advance(record, verify);
  EXPECT_EQ(record.notes.at("boot"), "b1");
  EXPECT_EQ(record.outcome.install().running_version(), "v1.32.0+k3s1");
  EXPECT_EQ(record.outcome.code(), Outcome::SUCCEEDED);
}

TEST(MachineTest, PhaseNamesGoBothWays) {
  for (int i = 0; i <= static_cast<int>(Phase::kSettled); ++i) {
    const auto phase = static_cast<Phase>(i);
    EXPECT_EQ(PhaseByName(PhaseName(phase)), phase);
  }
  EXPECT_EQ(PhaseByName("levitate"), std::nullopt);
}

TEST(MachineTest, TheDrainsOwnTimeoutComesBeforeTheBudget) {
  v1::OperationSpec spec;
  spec.mutable_drain()->mutable_policy()->set_timeout_seconds(60);
  EXPECT_GT(BudgetSeconds(Make(spec)), 60u);
  EXPECT_EQ(BudgetSeconds(Install()), 90u);
}

}  // namespace
}  // namespace k3saga::operations
