#include "coordinator/journal/writer_lock.h"

#include <unistd.h>

#include "tests/unit/common/temp_dir.h"

namespace k3saga::journal {
namespace {

using testing::HasSubstr;

const Holder kAnn{"ann@laptop:4711", 4711, "laptop", 1'769'869'507'000, "", false};

TEST(WriterLock, NobodyEverWrote) {
  TempDir dir;
  auto holder = WriterLock::WhoWrites(dir / "journal.db.lock");
  ASSERT_TRUE(holder.ok());
  EXPECT_FALSE(holder->has_value());
}

TEST(WriterLock, SaysWhoSinceWhenAndWhetherStill) {
  TempDir dir;
  const std::string path = dir / "lock";
  {
    auto lock = WriterLock::Take(path, kAnn);
    ASSERT_TRUE(lock.ok()) << lock.status();
    ASSERT_TRUE(lock->Announce("/a/rather/long/path/to/the/socket.sock").ok());
    ASSERT_TRUE(lock->Announce("/short.sock").ok());
    auto holder = WriterLock::WhoWrites(path);
    ASSERT_TRUE(holder.ok() && holder->has_value());
    EXPECT_TRUE((*holder)->alive);
    EXPECT_EQ((*holder)->socket, "/short.sock");
    EXPECT_EQ(Describe(**holder), "ann@laptop:4711 (pid 4711 on laptop), since 2026-01-31 14:25:07 UTC");
  }
  auto holder = WriterLock::WhoWrites(path);
  ASSERT_TRUE(holder.ok() && holder->has_value());
  EXPECT_FALSE((*holder)->alive);
  EXPECT_EQ((*holder)->who, "ann@laptop:4711");
}

TEST(WriterLock, MovesWithoutLettingGo) {
  TempDir dir;
  auto taken = WriterLock::Take(dir / "lock", kAnn);
  ASSERT_TRUE(taken.ok());
  WriterLock moved = *std::move(taken);
  EXPECT_TRUE((*WriterLock::WhoWrites(dir / "lock"))->alive);
  EXPECT_FALSE(WriterLock::Take(dir / "lock", kAnn).ok());
}

TEST(WriterLock, AnUnreadableLockFileStillTellsThatSomebodyIsThere) {
  TempDir dir;
  for (const char* content : {"", "{\"who\": \"ann", "[]", "{\"who\": 7, \"pid\": \"x\"}"}) {
    SCOPED_TRACE(content);
    const std::string path = dir.Write("lock", content);
    auto holder = WriterLock::WhoWrites(path);
    ASSERT_TRUE(holder.ok() && holder->has_value());
    EXPECT_EQ((*holder)->who, "unknown");
  }
}

TEST(WriterLock, NoLinkLeadsItAstray) {
  TempDir dir;
  const std::string target = dir.Write("precious", "data");
  ASSERT_EQ(symlink(target.c_str(), (dir / "lock").c_str()), 0);
  EXPECT_FALSE(WriterLock::Take(dir / "lock", kAnn).ok());
  EXPECT_EQ(*ReadFile(target), "data");
}

TEST(ThisProcess, NamesUserHostAndPid) {
  const Holder me = ThisProcess();
  EXPECT_EQ(me.pid, getpid());
  EXPECT_THAT(me.who, HasSubstr("@" + me.host + ":" + std::to_string(me.pid)));
  EXPECT_GT(me.since_unix_ms, 0);
}

}  // namespace
}  // namespace k3saga::journal
