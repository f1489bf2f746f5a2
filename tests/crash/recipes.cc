#include "tests/crash/recipes.h"

#include <algorithm>
#include <sstream>

#include "common/host/process.h"

namespace k3saga::testing {
namespace {

const std::vector<int> kEarlyAndLate = {1, 3, 7, 15};
const std::vector<int> kOneEach = {1, 2, 3, 4};
const std::vector<int> kLater = {5, 6, 7, 8};

// clang-format off
const std::vector<Recipe>& Known() {
  static const std::vector<Recipe> kKnown = {
      {"journal.before_commit",             Where::kCoordinator, Story::kUpgrade, kEarlyAndLate, ""},
      {"journal.after_commit",              Where::kCoordinator, Story::kUpgrade, kEarlyAndLate, ""},
      {"driver.before_dispatch",            Where::kCoordinator, Story::kUpgrade, kEarlyAndLate, ""},
      {"driver.after_dispatch",             Where::kCoordinator, Story::kUpgrade, kEarlyAndLate, ""},
      {"fleet.before_run_sent",             Where::kCoordinator, Story::kUpgrade, kEarlyAndLate, ""},
      {"fleet.after_run_sent",              Where::kCoordinator, Story::kUpgrade, kEarlyAndLate, ""},
      {"fleet.accepted_received",           Where::kCoordinator, Story::kUpgrade, kEarlyAndLate, ""},
      {"fleet.outcome_received",            Where::kCoordinator, Story::kUpgrade, kEarlyAndLate, ""},
      {"fleet.before_question_sent",        Where::kCoordinator, Story::kUpgrade, {1, 6, 8, 10}, ""},
      {"fleet.after_question_sent",         Where::kCoordinator, Story::kUpgrade, {1, 6, 8, 10}, ""},
      {"fleet.answer_received",             Where::kCoordinator, Story::kUpgrade, {1, 6, 8, 10}, ""},
      {"fleet.upload.before_chunk_sent",    Where::kCoordinator, Story::kPush,    {1, 2}, ""},
      {"fleet.upload.after_chunk_sent",     Where::kCoordinator, Story::kPush,    {1, 2}, ""},
      {"fleet.upload.answer_received",      Where::kCoordinator, Story::kPush,    {1, 2}, ""},
      {"fleet.download.chunk_received",     Where::kCoordinator, Story::kPush,    {1}, ""},
      {"fleet.download.chunk_written",      Where::kCoordinator, Story::kPush,    {1}, ""},
      {"control.command_received",          Where::kCoordinator, Story::kPause,   {1}, ""},
      {"control.command_answering",         Where::kCoordinator, Story::kPause,   {1}, ""},

      {"agent.rpc.unary.received",          Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.rpc.unary.replying",          Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.rpc.run.received",            Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.rpc.run.accepted",            Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.rpc.run.settling",            Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.rpc.run.settled",             Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.rpc.upload.received",         Where::kAgent,       Story::kPush,    {1, 1, 1, 1}, ""},
      {"agent.rpc.upload.taken",            Where::kAgent,       Story::kPush,    {1, 1, 1, 1}, ""},
      {"agent.rpc.upload.complete",         Where::kAgent,       Story::kPush,    {1, 1, 1, 1}, ""},
      {"agent.rpc.download.sending",        Where::kAgent,       Story::kPush,    {1, 1, 1, 1}, ""},
      {"agent.rpc.download.sent",           Where::kAgent,       Story::kPush,    {1, 1, 1, 1}, ""},
      {"agent.journal.accept.before_commit", Where::kAgent,      Story::kUpgrade, kOneEach, ""},
      {"agent.journal.accept.after_commit", Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.journal.phase.before_commit", Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.journal.phase.before_commit", Where::kOperation,   Story::kUpgrade, kOneEach, "early"},
      {"agent.journal.phase.before_commit", Where::kOperation,   Story::kUpgrade, kLater, "late"},
      {"agent.journal.phase.after_commit",  Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.journal.phase.after_commit",  Where::kOperation,   Story::kUpgrade, kOneEach, "early"},
      {"agent.journal.phase.after_commit",  Where::kOperation,   Story::kUpgrade, kLater, "late"},
      {"agent.operation.before_effect",     Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.operation.before_effect",     Where::kOperation,   Story::kUpgrade, kOneEach, "early"},
      {"agent.operation.before_effect",     Where::kOperation,   Story::kUpgrade, kLater, "late"},
      {"agent.operation.after_effect",      Where::kAgent,       Story::kUpgrade, kOneEach, ""},
      {"agent.operation.after_effect",      Where::kOperation,   Story::kUpgrade, kOneEach, "early"},
      {"agent.operation.after_effect",      Where::kOperation,   Story::kUpgrade, kLater, "late"},
      {"agent.journal.cancel.before_commit", Where::kByHand,     Story::kUpgrade, {1}, ""},
      {"agent.journal.cancel.after_commit", Where::kByHand,      Story::kUpgrade, {1}, ""},
      {"agent.journal.prune.before_commit", Where::kByHand,      Story::kUpgrade, {1}, ""},
      {"agent.journal.prune.after_commit",  Where::kByHand,      Story::kUpgrade, {1}, ""},
      {"releases.before_verified",          Where::kAgent,       Story::kUpgrade, {1, 1, 1, 1}, ""},
      {"installer.before_place",            Where::kOperation,   Story::kUpgrade, {1, 1, 1, 1}, ""},
      {"installer.after_place",             Where::kOperation,   Story::kUpgrade, {1, 1, 1, 1}, ""},
      {"keep.before_manifest",              Where::kOperation,   Story::kUpgrade, {1, 1, 1, 1}, ""},
      {"keep.between_restores",             Where::kOperation,   Story::kPutBack, {1, 1, 1, 1}, ""},
      {"agent.operation.after_effect",      Where::kOperation,   Story::kPutBack, {9, 10, 10, 3}, "on the way back"},
  };
  return kKnown;
}
// clang-format on

// No rollout comes there, a datastore's restore does: RestoreVerbs.SurviveAKillAtEachStep
// (tests/e2e/restore_verbs_test.cc) dies at each of these.
bool KilledByTheRestore(const std::string& point) {
  return point == "set_aside.before_move" || point == "set_aside.after_move" || point == "reset.before" ||
         point == "reset.after";
}

std::vector<std::string> PointsOf(const std::string& program) {
  auto listed = Run({.argv = {std::string(K3SAGA_BIN_DIR) + "/" + program, "--list-crash-points"},
                     .environment = PlainEnvironment(),
                     .deadline = std::chrono::seconds(60)});
  std::vector<std::string> points;
  if (!listed.ok() || listed->exit_code != 0) return {program + " lists no crash points"};
  std::istringstream lines(listed->out);
  for (std::string line; std::getline(lines, line);) points.push_back(line);
  return points;
}

}  // namespace

std::string NameOf(const Recipe& recipe) {
  static constexpr const char* kWhere[] = {"", "_in_the_agent", "_in_the_operation", ""};
  std::string name = recipe.point + kWhere[static_cast<size_t>(recipe.where)];
  if (!recipe.what.empty()) name += "_" + recipe.what;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

std::vector<Recipe> AllRecipes() {
  std::vector<Recipe> recipes;
  for (const char* program : {"k3saga", "k3saga-agent"}) {
    for (const std::string& point : PointsOf(program)) {
      if (KilledByTheRestore(point)) continue;
      const size_t before = recipes.size();
      std::copy_if(Known().begin(), Known().end(), std::back_inserter(recipes),
                   [&](const Recipe& each) { return each.point == point; });
      if (recipes.size() == before)
        recipes.push_back({point, Where::kCoordinator, Story::kUpgrade, {}, "unknown"});
    }
  }
  return recipes;
}

}  // namespace k3saga::testing
