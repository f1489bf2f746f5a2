#include "agent/node/unpack.h"

#include <absl/strings/str_cat.h>

#include "common/host/files.h"
#include "common/reason.h"
#include "tests/unit/node/fake_host.h"

namespace k3saga::node {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

class UnpackTest : public ::testing::Test {
 protected:
  // A script in the place of k3s.
  absl::Status Unpack(const std::string& script, milliseconds deadline = std::chrono::seconds(30)) {
    host_.Write("k3s", absl::StrCat("#!/bin/sh\n", script), 0755);
    return UnpackK3s(host_.Path("k3s"), host_.Path("data folder"), deadline);
  }

  FakeHost host_;
};

TEST_F(UnpackTest, RunsACommandThatOnlyUnpacksIntoTheDataFolder) {
  const std::string seen = host_.Path("seen");
  ASSERT_TRUE(Unpack(absl::StrCat("printf '%s|' \"$@\" > ", seen, "\n")).ok());
  EXPECT_EQ(ReadFile(seen).value_or(""),
            absl::StrCat("--data-dir|", host_.Path("data folder"), "|ctr|--version|"));
}

TEST_F(UnpackTest, SaysWhyThisK3sCouldNotStartHere) {
  const absl::Status status = Unpack(
      "echo 'level=fatal msg=\"extracting data: write containerd: no space left on device\"' >&2; exit 1\n");
  EXPECT_EQ(ReasonOf(status).code(), v1::LOCAL_FAILURE);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no space left on device"));
}

TEST_F(UnpackTest, LeavesEverythingElseToTheStart) {
  EXPECT_TRUE(Unpack("echo 'No help topic for ctr' >&2; exit 3\n").ok());
  EXPECT_TRUE(Unpack("kill -9 $$\n").ok());
  EXPECT_TRUE(Unpack("exec tail -f /dev/null\n", milliseconds(50)).ok());
  EXPECT_TRUE(UnpackK3s(host_.Path("nowhere/k3s"), host_.Path(""), milliseconds(1000)).ok());
}

}  // namespace
}  // namespace k3saga::node
