#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/base/files.h"
#include "lab/base/layout.h"
#include "lab/base/processes.h"

namespace k3saga::lab {
namespace {

// Runs k3saga-lab to its end; its output goes to `log`.
int RunLab(std::vector<std::string> arguments, const std::filesystem::path& log) {
  arguments.insert(arguments.begin(), absl::StrCat(K3SAGA_BIN_DIR, "/k3saga-lab"));
  auto pid = SpawnChild({arguments, {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, log});
  if (!pid.ok()) return -1;
  int status = 0;
  waitpid(*pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Lab, ComesUpAndLeavesNoProcessBehind) {
  std::string made = absl::StrCat(::testing::TempDir(), "k3saga-smoke-XXXXXX");
  ASSERT_NE(mkdtemp(made.data()), nullptr);
  // A lab may lie below anything, also what looks like a part of its own layout.
  const std::string dir = absl::StrCat(made, "/root/nodes/root/lab");
  const std::filesystem::path log = absl::StrCat(made, "/log");
  const int up = RunLab({"up", "--dir", dir, "--servers", "1", "--workers", "1", "--no-agents"}, log);
  EXPECT_EQ(up, 0) << ReadFile(log).value_or("");
  if (up == 0) {
    EXPECT_FALSE(ProcessesOfLab(dir).empty());
    EXPECT_EQ(RunLab({"report", "--dir", dir, "--output", "json"}, log), 0);
    EXPECT_EQ(RunLab({"up", "--dir", dir, "--servers", "1"}, log), 1) << "it is up already";
  }
  EXPECT_EQ(RunLab({"down", "--dir", dir}, log), 0);
  EXPECT_TRUE(ProcessesOfLab(dir).empty());
  EXPECT_FALSE(std::filesystem::exists(absl::StrCat(dir, "/daemon.sock")));
  std::filesystem::remove_all(made);
}

TEST(Lab, DownWithoutALabIsFine) {
  EXPECT_EQ(RunLab({"down", "--dir", "/nonexistent/k3saga-lab"}, "/dev/null"), 0);
}

}  // namespace
}  // namespace k3saga::lab
