#include "agent/operations/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "agent/operations/journal_schema.h"
#include "common/host/files.h"
#include "common/reason.h"
#include "common/sqlite/database.h"
#include "common/sqlite/schema.h"
#include "tests/unit/operations/testing.h"

namespace k3saga::operations {
namespace {

using ::testing::HasSubstr;
using Kind = Admission::Kind;

v1::RunRequest Request(uint64_t sequence, const v1::Authority& authority = MakeAuthority()) {
  v1::RunRequest request;
  *request.mutable_id() = MakeId(sequence, authority.rollout());
  *request.mutable_authority() = authority;
  request.mutable_spec()->mutable_cordon()->set_node("w" + std::to_string(sequence));
  return request;
}

v1::RunRequest ClaimRequest(uint64_t sequence, const v1::Authority& authority,
                            std::string_view rollout_created) {
  v1::RunRequest request = Request(sequence, authority);
  request.mutable_spec()->mutable_claim()->set_rollout_created(std::string(rollout_created));
  return request;
}

v1::RunRequest InstallRequest(uint64_t sequence) {
  v1::RunRequest request = Request(sequence);
  request.mutable_spec()->mutable_install()->set_version("v1.32.0+k3s1");
  return request;
}

class JournalTest : public ::testing::Test {
 protected:
  std::string path() const { return folder_ / "journal.db"; }

  absl::StatusOr<std::unique_ptr<Journal>> TryOpen(const std::string& path,
                                                   const Journal::Options& options = {}) {
    return Journal::Open(path, options, &clock_);
  }
  std::unique_ptr<Journal> Open(const Journal::Options& options = {}) {
    auto journal = TryOpen(path(), options);
    EXPECT_TRUE(journal.ok()) << journal.status();
    return *std::move(journal);
  }
  static Accepted MustAccept(Journal& journal, const v1::RunRequest& request) {
    auto accepted = journal.Accept(request);
    EXPECT_TRUE(accepted.ok()) << accepted.status();
    return *std::move(accepted);
  }
  static void MustSettle(Journal& journal, const v1::OperationId& id) {
    auto entry = journal.Find(id);
    ASSERT_TRUE(entry.ok() && entry->has_value());
    Record record = (*entry)->record;
    Begin(record);
    while (!record.settled()) Advance(record, EffectResult::Done());
    ASSERT_TRUE(journal.Save(record, {}).ok());
  }

  TempFolder folder_;
  FakeClock clock_;
};

TEST_F(JournalTest, KeepsItsIdAndWhatItWasTold) {
  std::string id;
  {
    auto journal = Open();
    id = journal->id();
    EXPECT_EQ(id.size(), 16u);
    EXPECT_EQ(MustAccept(*journal, InstallRequest(7)).admission.kind, Kind::kStart);
    auto entry = journal->Find(MakeId(7));
    Record record = (*entry)->record;
    Begin(record);
    EffectResult check = EffectResult::Done();
    check.notes["boot \"id\""] = "b1\n";
    Advance(record, check);
    ASSERT_TRUE(journal->Save(record, {"boot-1", 4711}).ok());
  }
  auto journal = Open();
  EXPECT_EQ(journal->id(), id);
  auto entry = journal->Find(MakeId(7));
  ASSERT_TRUE(entry.ok() && entry->has_value()) << entry.status();
  const Record& record = (*entry)->record;
  EXPECT_EQ(record.phase, Phase::kKeep);
  EXPECT_EQ(record.starts, 1u);
  EXPECT_EQ(record.verb, Verb::kInstall);
  EXPECT_EQ(record.spec->install().version(), "v1.32.0+k3s1");
  EXPECT_EQ(record.authority.holder(), "ada@laptop:1");
  EXPECT_EQ(record.notes.at("boot \"id\""), "b1\n");
  EXPECT_EQ((*entry)->deadline.boot_id, "boot-1");
  EXPECT_EQ((*entry)->deadline.steady_ms, 4711);
  EXPECT_EQ((*entry)->accepted_unix_ms, clock_.WallUnixMillis());
  EXPECT_EQ((*entry)->settled_unix_ms, 0);
}

TEST_F(JournalTest, ASecondRunAttachesAndRepeatsTheOutcome) {
  auto journal = Open();
  EXPECT_EQ(MustAccept(*journal, Request(3)).admission.kind, Kind::kStart);
  EXPECT_EQ(MustAccept(*journal, Request(3)).admission.kind, Kind::kAttach);
  MustSettle(*journal, MakeId(3));
  const Accepted again = MustAccept(*journal, Request(3));
  EXPECT_EQ(again.admission.kind, Kind::kAttach);
  EXPECT_EQ(again.entry.record.outcome.code(), v1::Outcome::SUCCEEDED);
  EXPECT_TRUE(again.entry.record.settled());
}

TEST_F(JournalTest, ASettledOperationIsNeverWrittenAgain) {
  auto journal = Open();
  const Record record = MustAccept(*journal, Request(3)).entry.record;
  MustSettle(*journal, MakeId(3));
  EXPECT_EQ(journal->Save(record, {}).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(*journal->RequestCancel(MakeId(3)));
}

TEST_F(JournalTest, TheFenceSurvivesAndOnlyGrows) {
  {
    auto journal = Open();
    EXPECT_EQ(journal->ReadFence()->hold, Fence::Hold::kNever);
    EXPECT_EQ(MustAccept(*journal, ClaimRequest(1, MakeAuthority(4), "plan")).admission.kind, Kind::kStart);
  }
  auto journal = Open();
  Fence fence = *journal->ReadFence();
  EXPECT_EQ(fence.hold, Fence::Hold::kHeld);
  EXPECT_EQ(fence.claim.epoch(), 4u);
  EXPECT_TRUE(fence.claim.active());
  EXPECT_EQ(fence.claim.since_unix_ms(), clock_.WallUnixMillis());
  EXPECT_EQ(*journal->ReadAdoption(), "plan");
  EXPECT_EQ(MustAccept(*journal, Request(2, MakeAuthority(3))).admission.reason.code(), v1::STALE_EPOCH);
  EXPECT_EQ(journal->ReadFence()->claim.epoch(), 4u);
  EXPECT_EQ(MustAccept(*journal, Request(2, MakeAuthority(9))).admission.kind, Kind::kStart);
  EXPECT_EQ(journal->ReadFence()->claim.epoch(), 9u);
  EXPECT_EQ(*journal->ReadAdoption(), "plan");
}

TEST_F(JournalTest, TheClaimsPlanIsKeptOnceAndEndsWithIt) {
  auto journal = Open();
  const Accepted claimed = MustAccept(*journal, ClaimRequest(1, MakeAuthority(1), "plan"));
  EXPECT_EQ(claimed.entry.record.spec->claim().rollout_created(), "");
  v1::RunRequest release = Request(2);
  release.mutable_spec()->mutable_release_claim();
  EXPECT_EQ(MustAccept(*journal, release).admission.kind, Kind::kStart);
  EXPECT_EQ(*journal->ReadAdoption(), "");
  EXPECT_FALSE(journal->ReadFence()->claim.active());
  MustAccept(*journal, ClaimRequest(1, MakeAuthority(2, "r2"), "other plan"));
  EXPECT_EQ(*journal->ReadAdoption(), "other plan");
  MustAccept(*journal, Request(1, MakeAuthority(3, "r3")));
  EXPECT_EQ(*journal->ReadAdoption(), "");
}

TEST_F(JournalTest, ASuccessorsAuthorityIsTakenOverWhenItAttaches) {
  auto journal = Open();
  MustAccept(*journal, InstallRequest(7));
  v1::RunRequest again = InstallRequest(7);
  *again.mutable_authority() = MakeAuthority(2, "r1", "bob@desk:2");
  EXPECT_EQ(MustAccept(*journal, again).admission.kind, Kind::kAttach);
  EXPECT_EQ((*journal->Find(MakeId(7)))->record.authority.holder(), "bob@desk:2");
  EXPECT_EQ(MustAccept(*journal, InstallRequest(7)).admission.reason.code(), v1::STALE_EPOCH);
}

TEST_F(JournalTest, ProcessesShareIt) {
  auto service = Open();
  MustAccept(*service, InstallRequest(7));
  Journal::Options existing;
  existing.create = false;
  auto worker = Open(existing);
  EXPECT_EQ(worker->id(), service->id());

  const int64_t before = *service->DataVersion();
  v1::Progress progress;
  progress.set_phase("installer");
  ASSERT_TRUE(worker->ReportProgress(MakeId(7), progress).ok());
  EXPECT_NE(*service->DataVersion(), before);
  EXPECT_EQ((*service->Find(MakeId(7)))->progress.phase(), "installer");

  EXPECT_TRUE(*service->RequestCancel(MakeId(7)));
  EXPECT_TRUE((*worker->Find(MakeId(7)))->cancel_requested);
  MustSettle(*worker, MakeId(7));
  EXPECT_TRUE((*service->Find(MakeId(7)))->record.settled());
  EXPECT_TRUE(service->Unsettled()->empty());
}

TEST_F(JournalTest, AnOperationsProcessDoesNotMakeAJournal) {
  Journal::Options existing;
  existing.create = false;
  EXPECT_EQ(TryOpen(path(), existing).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(JournalTest, ListsNewestFirstAndUnsettledOldestFirst) {
  auto journal = Open();
  for (uint64_t sequence = 1; sequence <= 4; ++sequence) MustAccept(*journal, Request(sequence));
  MustSettle(*journal, MakeId(2));
  const auto sequences = [](const std::vector<Entry>& entries) {
    std::vector<uint64_t> list;
    for (const Entry& entry : entries) list.push_back(entry.record.id.sequence());
    return list;
  };
  EXPECT_EQ(sequences(*journal->List(3)), (std::vector<uint64_t>{4, 3, 2}));
  EXPECT_EQ(sequences(*journal->Unsettled()), (std::vector<uint64_t>{1, 3, 4}));
}

TEST_F(JournalTest, AFullDiskRefusesTheNewAndLetsTheRunningGoOn) {
  uint64_t free = 1ull << 30;
  Journal::Options options;
  options.free_bytes = [&](const std::string&) -> absl::StatusOr<uint64_t> { return free; };
  auto journal = Open(options);
  MustAccept(*journal, Request(1));
  free = 1 << 20;
  const absl::Status refused = journal->Accept(Request(2)).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused).code(), v1::DISK_FULL);
  EXPECT_EQ(MustAccept(*journal, Request(1)).admission.kind, Kind::kAttach);
  MustSettle(*journal, MakeId(1));
}

TEST_F(JournalTest, AnOperationThatAnotherJournalMayKnowIsNotStarted) {
  auto journal = Open();
  v1::RunRequest request = Request(1);
  request.set_journal_id("the-one-before");
  EXPECT_EQ(MustAccept(*journal, request).admission.reason.code(), v1::LOST_OPERATION);
  request.set_journal_id(journal->id());
  EXPECT_EQ(MustAccept(*journal, request).admission.kind, Kind::kStart);
  request.set_journal_id("the-one-before");
  EXPECT_EQ(MustAccept(*journal, request).admission.kind, Kind::kAttach);
}

TEST_F(JournalTest, PrunesByCountAndRemembersTheFloor) {
  Journal::Options options;
  options.keep = 3;
  auto journal = Open(options);
  for (uint64_t sequence = 1; sequence <= 6; ++sequence) {
    MustAccept(*journal, Request(sequence));
    if (sequence != 2) MustSettle(*journal, MakeId(sequence));
  }
  EXPECT_EQ(*journal->Prune(), 2u);  // 1 and 3; 2 still runs
  EXPECT_EQ(*journal->Prune(), 0u);
  EXPECT_EQ(MustAccept(*journal, Request(3)).admission.reason.code(), v1::STALE_OPERATION);
  EXPECT_EQ(MustAccept(*journal, Request(2)).admission.kind, Kind::kAttach);
  EXPECT_EQ(MustAccept(*journal, Request(4)).admission.kind, Kind::kAttach);
  EXPECT_EQ(MustAccept(*journal, Request(7)).admission.kind, Kind::kStart);
  // Another rollout's numbers begin anew.
  EXPECT_EQ(MustAccept(*journal, Request(1, MakeAuthority(2, "r2"))).admission.kind, Kind::kStart);
}

TEST_F(JournalTest, PrunesByAgeButNeverTheRolloutThatHoldsTheNode) {
  Journal::Options options;
  options.keep_ms = 1000;
  auto journal = Open(options);
  MustAccept(*journal, Request(1));
  MustSettle(*journal, MakeId(1));
  MustAccept(*journal, ClaimRequest(1, MakeAuthority(2, "r2"), ""));
  MustSettle(*journal, MakeId(1, "r2"));
  clock_.Pass(std::chrono::seconds(2));
  EXPECT_EQ(*journal->Prune(), 1u);
  EXPECT_FALSE(journal->Find(MakeId(1))->has_value());
  EXPECT_TRUE(journal->Find(MakeId(1, "r2"))->has_value());
}

TEST_F(JournalTest, ADamagedFileIsNamedAndLeftAlone) {
  { auto journal = Open(); }
  std::string content = *ReadFile(path());
  std::fill(content.begin() + 4096, content.end(), 'x');
  std::ofstream(path(), std::ios::binary) << content;
  const absl::Status status = TryOpen(path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path()));
  EXPECT_EQ(*ReadFile(path()), content);

  std::ofstream(path(), std::ios::binary) << "this is not a database, whatever its name says";
  const std::string text = *ReadFile(path());
  EXPECT_EQ(TryOpen(path()).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(*ReadFile(path()), text);
}

TEST_F(JournalTest, ANewersFileIsNamedAndLeftAlone) {
  { auto journal = Open(); }
  {
    auto database = sqlite::Database::Open(path(), sqlite::Database::Mode::kWrite);
    ASSERT_TRUE(database->Execute("PRAGMA user_version = 99").ok());
  }
  const absl::Status status = TryOpen(path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer"));
}

TEST_F(JournalTest, SomebodyElsesFileIsNamedAndLeftAlone) {
  {
    auto database = sqlite::Database::Open(path(), sqlite::Database::Mode::kWrite);
    ASSERT_TRUE(database->Execute("CREATE TABLE recipes (name TEXT)").ok());
  }
  const std::string content = *ReadFile(path());
  EXPECT_THAT(std::string(TryOpen(path()).status().message()), HasSubstr("not the agent's journal"));
  EXPECT_EQ(*ReadFile(path()), content);
}

TEST_F(JournalTest, WritersOfTwoConnectionsWaitForEachOther) {
  auto one = Open();
  auto other = Open();
  const auto write = [](Journal& journal, uint64_t first) {
    for (uint64_t i = 0; i < 20; ++i) {
      ASSERT_TRUE(journal.Accept(Request(first + i)).ok());
    }
  };
  std::thread thread([&] { write(*one, 1); });
  write(*other, 101);
  thread.join();
  EXPECT_EQ(one->Unsettled()->size(), 40u);
}

}  // namespace
}  // namespace k3saga::operations
