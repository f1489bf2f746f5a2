#include "common/host/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/common/temp_dir.h"

namespace k3saga {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

TEST(Files, WritesWholeAndLeavesNothingBeside) {
  TempDir dir;
  ASSERT_TRUE(WriteFileDurably(dir / "a", "one").ok());
  ASSERT_TRUE(WriteFileDurably(dir / "a", "two").ok());
  EXPECT_EQ(*ReadFile(dir / "a"), "two");
  EXPECT_EQ(ModeOf(dir / "a"), 0600u);
  EXPECT_EQ(*ListDirectory(dir.path()), std::vector<std::string>{"a"});
}

TEST(Files, KeepsModeWhereAsked) {
  TempDir dir;
  dir.Write("k3s.service.env", "K3S_TOKEN=x\n", 0400);
  ASSERT_TRUE(
      WriteFileDurably(dir / "k3s.service.env", "", {.mode = 0644, .keep_mode_and_owner = true}).ok());
  EXPECT_EQ(ModeOf(dir / "k3s.service.env"), 0400u);
  ASSERT_TRUE(WriteFileDurably(dir / "new", "", {.mode = 0644, .keep_mode_and_owner = true}).ok());
  EXPECT_EQ(ModeOf(dir / "new"), 0644u);
}

TEST(Files, ReplacesASymlinkInsteadOfFollowingIt) {
  TempDir dir;
  dir.Write("precious", "untouched");
  ASSERT_EQ(symlink((dir / "precious").c_str(), (dir / "link").c_str()), 0);
  ASSERT_TRUE(WriteFileDurably(dir / "link", "new").ok());
  EXPECT_EQ(*ReadFile(dir / "precious"), "untouched");
  EXPECT_EQ(*ReadFile(dir / "link"), "new");
}

TEST(Files, CopiesContentAndMode) {
  TempDir dir;
  const std::string content(300'000, 'k');
  dir.Write("k3s", content, 0755);
  ASSERT_TRUE(CopyFileDurably(dir / "k3s", dir / "copy").ok());
  EXPECT_EQ(*ReadFile(dir / "copy"), content);
  EXPECT_EQ(ModeOf(dir / "copy"), 0755u);
  EXPECT_EQ(*Sha256OfFile(dir / "copy"), Sha256Of(content));
}

TEST(Files, SharesContentOnlyWhereThatIsAllowed) {
  TempDir dir;
  dir.Write("staged", "new", 0755);
  dir.Write("k3s", "old", 0700);
  const auto same_file = [&](const char* a, const char* b) {
    return std::filesystem::equivalent(dir / a, dir / b);
  };
  ASSERT_TRUE(CopyFileDurably(dir / "k3s", dir / "kept", Sharing::kAllowed).ok());
  EXPECT_TRUE(same_file("k3s", "kept"));
  ASSERT_TRUE(ReplaceFileDurably(dir / "staged", dir / "k3s", 0755, Sharing::kAllowed).ok());
  EXPECT_TRUE(same_file("k3s", "staged"));
  EXPECT_EQ(*ReadFile(dir / "kept"), "old") << "replaced, not written to";
  ASSERT_TRUE(CopyFileDurably(dir / "kept", dir / "k3s").ok());
  EXPECT_FALSE(same_file("k3s", "kept"));
  EXPECT_EQ(*ReadFile(dir / "staged"), "new");
}

TEST(Files, HashesAsEverybodyDoes) {
  EXPECT_EQ(Sha256Of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Files, ErrorsNameThePath) {
  TempDir dir;
  auto missing = ReadFile(dir / "nothing");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), ::testing::HasSubstr(dir / "nothing"));
  dir.Write("big", "12345");
  EXPECT_TRUE(absl::IsOutOfRange(ReadFile(dir / "big", 4).status()));
  EXPECT_TRUE(ReadFile(dir / "big", 5).ok());
  EXPECT_TRUE(RemoveFileDurably(dir / "nothing").ok());
  EXPECT_TRUE(absl::IsNotFound(CopyFileDurably(dir / "nothing", dir / "x")));
}

TEST(Files, RemovesATreeWithoutFollowingLinks) {
  TempDir dir;
  dir.Write("outside/file", "stays");
  dir.Write("tree/a/b", "goes");
  ASSERT_EQ(symlink((dir / "outside").c_str(), (dir / "tree/link").c_str()), 0);
  ASSERT_TRUE(RemoveTree(dir / "tree").ok());
  EXPECT_FALSE(Exists(dir / "tree"));
  EXPECT_TRUE(Exists(dir / "outside/file"));
}

TEST(Files, FreeSpaceOfAPathThatDoesNotExistYet) {
  TempDir dir;
  auto bytes = FreeBytes(dir / "not/yet/there");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_GT(*bytes, 0u);
}

TEST(Files, Paths) {
  EXPECT_EQ(JoinPath("/", "etc/k3s"), "/etc/k3s");
  EXPECT_EQ(JoinPath("/root/", "/etc/k3s"), "/root/etc/k3s");
  EXPECT_EQ(DirName("/a"), "/");
  EXPECT_EQ(DirName("/a/b"), "/a");
  EXPECT_EQ(BaseName("/a/b"), "b");
}

}  // namespace
}  // namespace k3saga
