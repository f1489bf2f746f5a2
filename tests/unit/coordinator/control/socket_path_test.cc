#include "coordinator/control/socket_path.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/common/temp_dir.h"

namespace k3saga::control {
namespace {

constexpr char kRollout[] = "20260131-142507-4f2a";

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

TEST(PrepareSocketPath, PrefersTheRuntimeFolder) {
  TempDir runtime, state;
  auto path = PrepareSocketPath(runtime.path(), state.path(), kRollout);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(*path, runtime / "k3saga/20260131-142507-4f2a.sock");
  EXPECT_EQ(ModeOf(runtime / "k3saga"), 0700u);
}

TEST(PrepareSocketPath, OtherwiseTheStateFolder) {
  TempDir state;
  for (const char* runtime : {"", "/does/not/exist"}) {
    auto path = PrepareSocketPath(runtime, state.path(), kRollout);
    ASSERT_TRUE(path.ok()) << path.status();
    EXPECT_EQ(*path, state / "run/20260131-142507-4f2a.sock");
  }
}

TEST(PrepareSocketPath, ALongNameIsHashedIntoAFolderOfOnesOwn) {
  TempDir dir;
  const std::string deep = dir / std::string(90, 'd');
  auto path = PrepareSocketPath("", deep, kRollout);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_LT(path->size(), sizeof(sockaddr_un::sun_path));
  EXPECT_EQ(DirName(*path), absl::StrCat("/tmp/k3saga-", geteuid()));
  EXPECT_EQ(*path, *PrepareSocketPath("", deep, kRollout));
  EXPECT_NE(*path, *PrepareSocketPath("", deep, "20260131-142508-4f2a"));
  EXPECT_NE(*path, *PrepareSocketPath("", deep + "2", kRollout));
}

TEST(PrepareSocketPath, AFolderThatOthersCanEnterIsRefused) {
  TempDir runtime, state;
  ASSERT_TRUE(MakeDirectories(runtime / "k3saga", 0755).ok());
  ASSERT_EQ(chmod((runtime / "k3saga").c_str(), 0755), 0);
  EXPECT_EQ(PrepareSocketPath(runtime.path(), state.path(), kRollout).status().code(),
            absl::StatusCode::kFailedPrecondition);
  ASSERT_EQ(rmdir((runtime / "k3saga").c_str()), 0);
  ASSERT_EQ(symlink(state.path().c_str(), (runtime / "k3saga").c_str()), 0);
  EXPECT_FALSE(PrepareSocketPath(runtime.path(), state.path(), kRollout).ok());
}

TEST(SocketTarget, EncodesWhatAUriDoesNotTake) {
  EXPECT_EQ(SocketTarget("/run/user/1000/k3saga/r-1.sock"), "unix:/run/user/1000/k3saga/r-1.sock");
  EXPECT_EQ(SocketTarget("/my folder/50%/r.sock"), "unix:/my%20folder/50%25/r.sock");
}

}  // namespace
}  // namespace k3saga::control
