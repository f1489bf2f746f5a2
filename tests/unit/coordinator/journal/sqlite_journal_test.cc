#include "coordinator/journal/sqlite_journal.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "common/host/crash_point.h"
#include "common/host/files.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/coordinator/journal/events.h"

namespace k3saga::journal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kRollout[] = "20260131-142507-4f2a";

class SqliteJournalTest : public testing::Test {
 protected:
  std::unique_ptr<SqliteJournal> Writer(const std::string& path) {
    auto journal = SqliteJournal::OpenToWrite(path, ThisProcess());
    EXPECT_TRUE(journal.ok()) << journal.status();
    return journal.ok() ? *std::move(journal) : nullptr;
  }
  std::unique_ptr<SqliteJournal> Writer() { return Writer(path_); }
  std::unique_ptr<SqliteJournal> Reader() {
    auto journal = SqliteJournal::OpenToRead(path_);
    EXPECT_TRUE(journal.ok()) << journal.status();
    return journal.ok() ? *std::move(journal) : nullptr;
  }

  // Runs `work` in a process of its own that ends without cleaning up, as by kill -9.
  template <typename Work>
  void InProcessThatDies(Work work) {
    const pid_t child = fork();
    if (child == 0) {
      work();
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
  }

  TempDir dir_;
  std::string path_ = dir_ / "state/journal.db";
};

TEST_F(SqliteJournalTest, GivesBackWhatWasAppendedInOrder) {
  const std::vector<v1::Event> first = {CreatedEvent(kRollout), StepEvent(v1::STEP_PREFLIGHT)};
  const std::vector<v1::Event> second = {HeldEvent("ready for 3 s of 15 s")};
  {
    auto journal = Writer();
    ASSERT_TRUE(journal->Append(kRollout, 0, first).ok());
    ASSERT_TRUE(journal->Append(kRollout, 2, second).ok());
    ASSERT_TRUE(journal->Append(kRollout, 3, {}).ok());
  }
  std::vector<v1::Event> all = first;
  all.push_back(second.front());
  auto read = Writer()->Read(kRollout);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(Serialized(*read), Serialized(all));
}

TEST_F(SqliteJournalTest, FolderAndFilesAreTheUsersOwn) {
  auto journal = Writer();
  ASSERT_TRUE(journal->Append(kRollout, 0, {CreatedEvent(kRollout)}).ok());
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "state").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(SqliteJournalTest, RefusesABatchWhenTheRolloutWentOnElsewhere) {
  auto journal = Writer();
  ASSERT_TRUE(journal->Append(kRollout, 0, {CreatedEvent(kRollout)}).ok());
  EXPECT_EQ(journal->Append(kRollout, 0, {CreatedEvent(kRollout)}).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(journal->Append(kRollout, 2, {StepEvent(v1::STEP_BACKUP)}).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(journal->Read(kRollout)->size(), 1u);
}

TEST_F(SqliteJournalTest, ABatchIsAllOrNothing) {
  auto journal = Writer();
  ASSERT_TRUE(journal->Append(kRollout, 0, {CreatedEvent(kRollout)}).ok());
  // An event that could never be read back would cost the whole log.
  EXPECT_EQ(journal->Append(kRollout, 1, {StepEvent(v1::STEP_BACKUP), v1::Event()}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(journal->Append(kRollout, 1, {StepEvent(v1::STEP_BACKUP), HeldEvent("not UTF-8: \xff")}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(journal->Read(kRollout)->size(), 1u);
}

TEST_F(SqliteJournalTest, AnUnknownRolloutIsNotFound) {
  EXPECT_EQ(Writer()->Read("20260101-000000-0000").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SqliteJournalTest, ListsNewestFirstWithWhatBecameOfEach) {
  auto journal = Writer();
  ASSERT_TRUE(journal
                  ->Append("20260101-000000-0000", 0,
                           {CreatedEvent("20260101-000000-0000"), StepEvent(v1::STEP_PREFLIGHT),
                            EndedEvent(v1::RolloutEnded::SUCCEEDED)})
                  .ok());
  ASSERT_TRUE(
      journal
          ->Append(kRollout, 0,
                   {CreatedEvent(kRollout), ResumedEvent("bob@desk:1", 9), StepEvent(v1::STEP_BACKUP)})
          .ok());
  auto rollouts = journal->List();
  ASSERT_TRUE(rollouts.ok()) << rollouts.status();
  ASSERT_EQ(rollouts->size(), 2u);
  const RolloutSummary& newest = rollouts->front();
  EXPECT_EQ(newest.rollout, kRollout);
  EXPECT_EQ(newest.holder, "bob@desk:1");
  EXPECT_EQ(newest.epoch, 9u);
  EXPECT_EQ(newest.events, 3u);
  EXPECT_EQ(newest.last_event_unix_ms, 1'769'869'508'000);
  EXPECT_EQ(newest.result, v1::RolloutEnded::RESULT_UNSPECIFIED);
  EXPECT_EQ(rollouts->back().result, v1::RolloutEnded::SUCCEEDED);

  auto unfinished = FindUnfinished(*journal, "shop-12");
  ASSERT_TRUE(unfinished.ok());
  ASSERT_EQ(unfinished->size(), 1u);
  EXPECT_EQ(unfinished->front().rollout, kRollout);
  EXPECT_TRUE(FindUnfinished(*journal, "other")->empty());
}

TEST_F(SqliteJournalTest, ReadersReadWhileTheWriterWritesAndMayNotWrite) {
  auto writer = Writer();
  ASSERT_TRUE(writer->Append(kRollout, 0, {CreatedEvent(kRollout)}).ok());
  auto reader = Reader();
  EXPECT_EQ(reader->Read(kRollout)->size(), 1u);
  ASSERT_TRUE(writer->Append(kRollout, 1, {StepEvent(v1::STEP_BACKUP)}).ok());
  EXPECT_EQ(reader->Read(kRollout)->size(), 2u);
  EXPECT_EQ(reader->Append(kRollout, 2, {StepEvent(v1::STEP_BACKUP)}).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(reader->Announce("/run/x.sock").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SqliteJournalTest, ReadersReadAfterTheWriterDied) {
  InProcessThatDies([&] {
    auto writer = SqliteJournal::OpenToWrite(path_, ThisProcess());
    (void)(*writer)->Append(kRollout, 0, {CreatedEvent(kRollout)});
    (void)writer->release();  // its database is never closed
  });
  EXPECT_EQ(Reader()->Read(kRollout)->size(), 1u);
  auto holder = SqliteJournal::WhoWrites(path_);
  ASSERT_TRUE(holder.ok() && holder->has_value());
  EXPECT_FALSE((*holder)->alive);
  EXPECT_NE((*holder)->pid, getpid());
}

TEST_F(SqliteJournalTest, ASecondWriterIsToldWhoTheFirstIs) {
  auto first = Writer();
  ASSERT_TRUE(first->Announce("/run/user/1000/k3saga/x.sock").ok());
  auto second = SqliteJournal::OpenToWrite(path_, ThisProcess());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(second.status()).code(), v1::CLUSTER_HELD);
  const std::string message(second.status().message());
  EXPECT_THAT(message, HasSubstr(absl::StrCat("pid ", getpid(), " on ")));
  EXPECT_THAT(message, HasSubstr("since 20"));

  auto holder = SqliteJournal::WhoWrites(path_);
  ASSERT_TRUE(holder.ok() && holder->has_value());
  EXPECT_TRUE((*holder)->alive);
  EXPECT_EQ((*holder)->socket, "/run/user/1000/k3saga/x.sock");
  first.reset();
  EXPECT_FALSE((*SqliteJournal::WhoWrites(path_))->alive);
  EXPECT_NE(Writer(), nullptr);
}

TEST_F(SqliteJournalTest, NoJournalIsNotFoundAndNothingIsCreated) {
  EXPECT_EQ(SqliteJournal::OpenToRead(path_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(Exists(path_));
  // A power cut in the middle of creating it leaves an empty file.
  dir_.Write("state/journal.db", "");
  EXPECT_EQ(SqliteJournal::OpenToRead(path_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(Writer(), nullptr);
}

TEST_F(SqliteJournalTest, WhatIsNotAJournalIsRefusedAndLeftAsItIs) {
  struct Case {
    const char* name;
    std::string content;
    absl::StatusCode code;
    const char* says;
  };
  const std::string garbage(8192, 'x');
  std::string newer, foreign, damaged;
  {
    const std::string path = dir_ / "newer.db";
    ASSERT_NE(Writer(path), nullptr);
    ASSERT_TRUE(sqlite::Database::Open(path, sqlite::Database::Mode::kWrite)
                    ->Execute("PRAGMA user_version = 99")
                    .ok());
    newer = *ReadFile(path);
  }
  {
    const std::string path = dir_ / "foreign.db";
    ASSERT_TRUE(
        sqlite::Database::Open(path, sqlite::Database::Mode::kWrite)->Execute("CREATE TABLE t (x)").ok());
    foreign = *ReadFile(path);
  }
  {
    const std::string path = dir_ / "damaged.db";
    auto journal = Writer(path);
    std::vector<v1::Event> events = {CreatedEvent(kRollout)};
    for (int i = 0; i < 500; ++i) events.push_back(HeldEvent(absl::StrCat("reason ", i)));
    ASSERT_TRUE(journal->Append(kRollout, 0, events).ok());
    journal.reset();
    damaged = *ReadFile(path);
    std::fill(damaged.begin() + 8192, damaged.begin() + 24576, '\x5a');
  }
  for (const Case& one : {
           Case{"garbage", garbage, absl::StatusCode::kDataLoss, "left as it is"},
           Case{"newer", newer, absl::StatusCode::kFailedPrecondition, "newer k3saga"},
           Case{"foreign", foreign, absl::StatusCode::kFailedPrecondition, "not k3saga's journal"},
           Case{"damaged", damaged, absl::StatusCode::kDataLoss, "damaged"},
       }) {
    SCOPED_TRACE(one.name);
    dir_.Write("state/journal.db", one.content);
    auto journal = SqliteJournal::OpenToWrite(path_, ThisProcess());
    EXPECT_EQ(journal.status().code(), one.code) << journal.status();
    EXPECT_THAT(std::string(journal.status().message()), HasSubstr(one.says));
    EXPECT_THAT(std::string(journal.status().message()), HasSubstr(path_));
    EXPECT_EQ(*ReadFile(path_), one.content);
    EXPECT_FALSE(Exists(path_ + "-wal"));
  }
}

TEST_F(SqliteJournalTest, AMissingEventIsNoticed) {
  ASSERT_TRUE(Writer()->Append(kRollout, 0, {CreatedEvent(kRollout), HeldEvent("a"), HeldEvent("b")}).ok());
  ASSERT_TRUE(sqlite::Database::Open(path_, sqlite::Database::Mode::kWrite)
                  ->Execute("DELETE FROM event WHERE number = 2")
                  .ok());
  auto read = Reader()->Read(kRollout);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("event 2"));
}

TEST_F(SqliteJournalTest, AnEventOfANewerProgramIsRefusedNotSkipped) {
  ASSERT_TRUE(Writer()->Append(kRollout, 0, {CreatedEvent(kRollout)}).ok());
  // Field 999, a string: a kind of event that this program does not know.
  ASSERT_TRUE(sqlite::Database::Open(path_, sqlite::Database::Mode::kWrite)
                  ->Execute("INSERT INTO event VALUES ('20260131-142507-4f2a', 2, 999, x'ba3e0161')")
                  .ok());
  auto read = Reader()->Read(kRollout);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("newer k3saga"));
}

// A full disk, told by the kernel: no file of this process may grow any further.
TEST_F(SqliteJournalTest, WhatDoesNotFitIsAnErrorAndLeavesNothingBehind) {
  auto journal = Writer();
  ASSERT_TRUE(journal->Append(kRollout, 0, {CreatedEvent(kRollout)}).ok());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit full = before;
  full.rlim_cur = *FileSize(path_ + "-wal");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const absl::Status status = journal->Append(kRollout, 1, {HeldEvent(std::string(100'000, 'y'))});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_EQ(journal->Read(kRollout)->size(), 1u);
  EXPECT_TRUE(journal->Append(kRollout, 1, {HeldEvent("now it fits")}).ok());
}

TEST_F(SqliteJournalTest, AppendHasACrashPointOnEachSideOfItsCommit) {
  EXPECT_THAT(CrashPoint::All(), testing::IsSupersetOf({"journal.before_commit", "journal.after_commit"}));
}

}  // namespace
}  // namespace k3saga::journal
