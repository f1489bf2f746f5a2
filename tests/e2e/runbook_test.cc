// docs/recovery.md, command by command: the page cannot say anything that does not work.

#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <signal.h>

#include <functional>

#include "common/host/files.h"
#include "tests/e2e/outcome.h"
#include "tests/support/eventually.h"

namespace k3saga::testing {
namespace {

// The page's commands, in order, without the program's name: its indented lines that begin with it.
std::vector<std::string> CommandsOf(const std::string& page) {
  constexpr absl::string_view kPrompt = "    k3saga ";
  std::vector<std::string> commands;
  for (absl::string_view line : absl::StrSplit(page, '\n')) {
    if (absl::ConsumePrefix(&line, kPrompt)) commands.emplace_back(line);
  }
  return commands;
}

class Runbook : public ::testing::Test {
 protected:
  // Begins a rollout and kills its process as soon as it says so.
  void KillAt(const std::vector<std::string>& command, const std::string& words) {
    const std::string log = command.front() + ".log";
    ChildProcess process = lab_->StartK3saga(command, log);
    ASSERT_TRUE(Eventually([&] { return lab_->Log(log).find(words) != std::string::npos; },
                           std::chrono::seconds(120)))
        << lab_->Log(log);
    process.Signal(SIGKILL);
    (void)process.Wait(std::chrono::seconds(10));
  }

  std::unique_ptr<LabCluster> lab_;
};

struct Line {
  std::string command;
  int exit_code = 0;
  std::function<void()> before = [] {};  // how the night got here
};

TEST_F(Runbook, EveryCommandDoesWhatThePageSays) {
  const auto page = ReadFile(K3SAGA_RECOVERY);
  ASSERT_TRUE(page.ok()) << page.status();
  auto up = LabCluster::Up({.servers = 3, .workers = 1});
  ASSERT_TRUE(up.ok()) << up.status();
  lab_ = *std::move(up);
  std::string rollout;
  std::string backup;

  const std::vector<Line> lines = {
      {"status", 0,
       [&] {
         KillAt({"upgrade", "--to", kNew, "--yes"}, "== Upgrade servers");
       }},
      {"nodes"},
      {"resume"},
      {"history"},
      {"history ROLLOUT", 0,
       [&] {
         const nlohmann::json status = lab_->K3sagaJson({"status"});
         rollout = status.value("rollout", "");
         ASSERT_EQ(status["backups"].size(), 1u) << status;
         backup = status["backups"][0]["id"];
       }},
      {"rollback ROLLOUT --yes --accept-data-loss"},
      {"abort --yes", 1,
       [&] {
         ASSERT_EQ(lab_->K3saga({"upgrade", "--to", kNew, "--yes"}).exit_code, 0);
         KillAt({"rollback", "--yes", "--accept-data-loss"}, "== Put back workers");
       }},
      {"restore --backup BACKUP --yes --accept-data-loss"},
      {"check"},
  };
  std::vector<std::string> expected;
  for (const Line& line : lines) expected.push_back(line.command);
  ASSERT_EQ(CommandsOf(*page), expected) << "the page and this test have to say the same";

  for (const Line& line : lines) {
    SCOPED_TRACE(line.command);
    ASSERT_NO_FATAL_FAILURE(line.before());
    const std::string said = absl::StrReplaceAll(line.command, {{"ROLLOUT", rollout}, {"BACKUP", backup}});
    const std::vector<std::string> arguments = absl::StrSplit(said, ' ');
    const auto ended = lab_->K3saga(arguments);
    EXPECT_EQ(ended.exit_code, line.exit_code) << ended.out << ended.err;
  }
}

}  // namespace
}  // namespace k3saga::testing
