#include "common/host/process.h"

#include <signal.h>

#include <chrono>
#include <thread>

#include "tests/unit/common/temp_dir.h"

namespace k3saga {
namespace {

Command Shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script}, .environment = PlainEnvironment()};
}

TEST(Process, ReturnsHowItEndedAndWhatItSaid) {
  auto result = k3saga::Run(Shell("echo out; echo err >&2; exit 3"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->out, "out\n");
  EXPECT_EQ(result->err, "err\n");
  EXPECT_EQ(result->Describe(), "exit status 3: err");
  EXPECT_FALSE(result->ok());
}

TEST(Process, SignalsAreToldApart) {
  auto result = k3saga::Run(Shell("kill -KILL $$"));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->signal, SIGKILL);
  EXPECT_FALSE(result->ok());
}

TEST(Process, InheritsNothing) {
  ASSERT_EQ(setenv("K3S_TOKEN", "of-the-agent", 1), 0);
  auto out = RunForOutput({.argv = {"/usr/bin/env"}, .environment = {"ONLY=this"}});
  unsetenv("K3S_TOKEN");
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(*out, "ONLY=this\n");
}

TEST(Process, NoShellTouchesArguments) {
  const std::string strange = "a  b'\"$HOME`id`;\\\n*";
  auto out = RunForOutput({.argv = {"/usr/bin/printf", "%s", strange}, .environment = PlainEnvironment()});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(*out, strange);
}

TEST(Process, FeedsStdin) {
  const std::string data(1 << 20, 'x');  // far more than a pipe holds
  Command command = {.argv = {"/usr/bin/wc", "-c"}, .environment = PlainEnvironment(), .stdin_data = data};
  EXPECT_EQ(*RunForOutput(command), "1048576\n");
  command.argv = {"/bin/true"};  // who does not read is not waited for
  EXPECT_TRUE(RunForOutput(command).ok());
}

TEST(Process, KeepsTheEndOfTooMuchOutput) {
  Command command = Shell("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done");
  command.output_cap = 100;
  auto result = k3saga::Run(command);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->truncated);
  EXPECT_EQ(result->out.size(), 100u);
  EXPECT_TRUE(result->out.ends_with("line 1999\n"));
}

TEST(Process, TheDeadlineEndsTheWholeGroup) {
  TempDir dir;
  Command command = Shell("echo started; sleep 600 & echo $! > " + (dir / "pid") + "; wait");
  command.deadline = std::chrono::milliseconds(300);
  auto result = k3saga::Run(command);
  ASSERT_TRUE(absl::IsDeadlineExceeded(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()), ::testing::HasSubstr("started"));
  // The grandchild dies with it; init reaps it in its own time.
  const int grandchild = std::stoi(*ReadFile(dir / "pid"));
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  auto alive = [&] {
    auto stat = ReadFile("/proc/" + std::to_string(grandchild) + "/stat");
    return stat.ok() && stat->find(") Z ") == std::string::npos;
  };
  while (alive() && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  EXPECT_FALSE(alive());
}

TEST(Process, DoesNotWaitForWhatWasLeftInTheBackground) {
  TempDir dir;
  // The background process holds our stdout; like a daemon it would for ever.
  auto out = RunForOutput(Shell("sleep 600 & echo $!"));
  ASSERT_TRUE(out.ok()) << out.status();
  kill(std::stoi(*out), SIGKILL);
}

TEST(Process, SaysWhatCannotBeRun) {
  EXPECT_TRUE(absl::IsNotFound(k3saga::Run({.argv = {"/no/such/program"}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(k3saga::Run({}).status()));
}

}  // namespace
}  // namespace k3saga
