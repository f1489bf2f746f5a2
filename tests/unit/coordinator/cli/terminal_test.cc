// The program as people see it: on a terminal.
#include "tests/unit/coordinator/cli/terminal_workspace.h"

namespace k3saga::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class Terminal : public TerminalWorkspace {};

TEST_F(Terminal, ColoursAreForTerminalsThatWantThem) {
  Init();
  EXPECT_THAT(RunThere({"check"}).shown, HasSubstr("\x1b[31m"));
  EXPECT_THAT(RunThere({"check"}, {"NO_COLOR=1"}).shown, Not(HasSubstr("\x1b[")));
  EXPECT_THAT(K3saga({"check"}).out, Not(HasSubstr("\x1b[")));
}

TEST_F(Terminal, AbortAsksAndTakesNoForAnAnswer) {
  Init();
  const Ended ended = RunThere({"abort"}, {}, "[y/N]", "n\n");
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.shown, HasSubstr("Nothing was done."));
}

TEST_F(Terminal, UpgradeOnATerminalNeedsNoYesToGetToPreflight) {
  Init();
  EXPECT_EQ(RunThere({"upgrade", "--to", "v1.32.0+k3s1"}).exit_code, 3);
}

}  // namespace
}  // namespace k3saga::cli
