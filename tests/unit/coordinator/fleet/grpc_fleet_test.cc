// The fleet against agents behind real mutual TLS on the loopback.
#include "coordinator/fleet/grpc_fleet.h"

#include "common/host/event_loop.h"
#include "common/reason.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/coordinator/fleet/fake_agent.h"
#include "tests/unit/coordinator/run_until.h"

namespace k3saga::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr seconds kLong(60);

class GrpcFleetTest : public testing::Test {
 protected:
  std::unique_ptr<GrpcFleet> MakeFleet(const std::vector<AgentAddress>& agents) {
    return std::make_unique<GrpcFleet>(loop_, tls::MakeChannelCredentials(identities_.Coordinator()), agents);
  }

  // Collects what is heard of a Run.
  struct Heard {
    std::vector<std::string> events;
    absl::StatusOr<v1::Outcome> outcome = absl::UnknownError("not done");
    bool done = false;

    RunEvents Events() {
      return {[this](const v1::RunReply::Accepted& accepted) {
                events.push_back("accepted " + accepted.journal_id());
              },
              [this](const v1::Progress& progress) { events.push_back(progress.phase()); },
              [this](absl::StatusOr<v1::Outcome> result) {
                EXPECT_FALSE(done);
                done = true;
                outcome = std::move(result);
              }};
    }
  };

  // Waits for one answer of a unary call.
  template <typename Reply, typename Start>
  absl::StatusOr<Reply> Await(Start start) {
    std::optional<absl::StatusOr<Reply>> answer;
    CallHandle call = start([&](absl::StatusOr<Reply> reply) { answer = std::move(reply); });
    EXPECT_FALSE(answer.has_value()) << "answered from inside the call";
    EXPECT_TRUE(RunUntil(loop_, [&] { return answer.has_value(); }));
    return answer ? *std::move(answer) : absl::DeadlineExceededError("the test's own patience");
  }

  TempDir dir_;
  Identities identities_;
  EventLoop loop_;
};

TEST_F(GrpcFleetTest, AsksEachAgentByName) {
  FakeAgent s1(identities_, "s1"), w1(identities_, "w1");
  auto fleet = MakeFleet({{"s1", s1.target()}, {"w1", w1.target()}});
  for (const char* node : {"s1", "w1", "s1"}) {
    auto facts = Await<v1::NodeFacts>(
        [&](auto done) { return fleet->GetFacts(node, v1::GetFactsRequest(), kLong, std::move(done)); });
    ASSERT_TRUE(facts.ok()) << facts.status();
    EXPECT_EQ(facts->name(), node);
  }
  auto cancel = Await<v1::CancelReply>(
      [&](auto done) { return fleet->Cancel("w1", v1::CancelRequest(), kLong, std::move(done)); });
  EXPECT_TRUE(cancel.ok() && cancel->found());
}

TEST_F(GrpcFleetTest, SaysWhichAgentCouldNotBeAskedAndWhy) {
  FakeAgent s1(identities_, "s1");
  // Somebody else's agent at s3's address, nobody at s4's.
  auto fleet = MakeFleet({{"s1", s1.target()}, {"s3", s1.target()}, {"s4", "ipv4:127.0.0.1:1"}});
  const auto ask = [&](const char* node, milliseconds timeout) {
    return Await<v1::NodeFacts>([&](auto done) {
             return fleet->GetFacts(node, v1::GetFactsRequest(), timeout, std::move(done));
           })
        .status();
  };
  EXPECT_EQ(ask("nobody", kLong).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ask("s3", kLong).code(), absl::StatusCode::kUnavailable);
  const absl::Status refused = ask("s4", kLong);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("agent of s4: "));
  s1.Close();
  EXPECT_EQ(ask("s1", milliseconds(200)).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(GrpcFleetTest, FollowsAnOperationToItsOutcome) {
  FakeAgent s1(identities_, "s1");
  s1.run_replies = {AcceptedReply("j1"), ProgressReply("download"), v1::RunReply(), ProgressReply("verify"),
                    OutcomeReply(v1::Outcome::SUCCEEDED)};
  auto fleet = MakeFleet({{"s1", s1.target()}});
  Heard heard;
  CallHandle call = fleet->Run("s1", v1::RunRequest(), kLong, heard.Events());
  ASSERT_TRUE(RunUntil(loop_, [&] { return heard.done; }));
  EXPECT_THAT(heard.events, ElementsAre("accepted j1", "download", "verify"));
  ASSERT_TRUE(heard.outcome.ok()) << heard.outcome.status();
  EXPECT_EQ(heard.outcome->code(), v1::Outcome::SUCCEEDED);
}

TEST_F(GrpcFleetTest, AStreamThatBreaksSaysNothingAboutTheOperation) {
  FakeAgent s1(identities_, "s1");
  s1.run_replies = {AcceptedReply("j1")};
  auto fleet = MakeFleet({{"s1", s1.target()}});
  {
    SCOPED_TRACE("ended without an outcome");
    Heard heard;
    CallHandle call = fleet->Run("s1", v1::RunRequest(), kLong, heard.Events());
    ASSERT_TRUE(RunUntil(loop_, [&] { return heard.done; }));
    EXPECT_EQ(heard.outcome.status().code(), absl::StatusCode::kUnavailable);
  }
  {
    SCOPED_TRACE("the agent goes away, comes back, and is attached to");
    s1.Close();
    Heard heard;
    CallHandle call = fleet->Run("s1", v1::RunRequest(), kLong, heard.Events());
    ASSERT_TRUE(RunUntil(loop_, [&] { return !heard.events.empty(); }));
    s1.Stop();
    ASSERT_TRUE(RunUntil(loop_, [&] { return heard.done; }));
    EXPECT_FALSE(heard.outcome.ok());
    s1.Open();
    s1.run_replies.push_back(OutcomeReply(v1::Outcome::FAILED));
    s1.Restart();
    Heard again;
    for (int i = 0; i < 100 && !again.outcome.ok(); ++i) {
      again = Heard();
      call = fleet->Run("s1", v1::RunRequest(), kLong, again.Events());
      ASSERT_TRUE(RunUntil(loop_, [&] { return again.done; }));
    }
    ASSERT_TRUE(again.outcome.ok()) << again.outcome.status();
    EXPECT_EQ(again.outcome->code(), v1::Outcome::FAILED);
  }
}

TEST_F(GrpcFleetTest, ADroppedCallIsNeverHeardAgain) {
  FakeAgent s1(identities_, "s1");
  s1.run_replies = {AcceptedReply("j1"), ProgressReply("a"), ProgressReply("b")};
  s1.Close();
  auto fleet = MakeFleet({{"s1", s1.target()}});
  CallHandle call;
  int heard = 0;
  RunEvents events{[&](const v1::RunReply::Accepted&) {
                     ++heard;
                     call.reset();  // from inside its own callback
                   },
                   [&](const v1::Progress&) { ++heard; },
                   [&](const absl::StatusOr<v1::Outcome>&) { ++heard; }};
  call = fleet->Run("s1", v1::RunRequest(), kLong, std::move(events));
  ASSERT_TRUE(RunUntil(loop_, [&] { return call == nullptr; }));
  s1.Open();
  // The next answer comes over the same connection, after everything that could still be said of the first.
  auto facts = Await<v1::NodeFacts>(
      [&](auto done) { return fleet->GetFacts("s1", v1::GetFactsRequest(), kLong, std::move(done)); });
  EXPECT_TRUE(facts.ok());
  EXPECT_EQ(heard, 1);
}

TEST_F(GrpcFleetTest, ManyOperationsInFlightAndAFleetThatGoesAwayWithThem) {
  FakeAgent s1(identities_, "s1"), s2(identities_, "s2");
  for (FakeAgent* agent : {&s1, &s2}) {
    agent->Close();
    agent->run_replies = {AcceptedReply("j"), ProgressReply("a")};
  }
  auto fleet = MakeFleet({{"s1", s1.target()}, {"s2", s2.target()}});
  std::vector<CallHandle> calls;
  int accepted = 0;
  for (int i = 0; i < 50; ++i) {
    RunEvents events{[&](const v1::RunReply::Accepted&) { ++accepted; }, [](const v1::Progress&) {},
                     [](const absl::StatusOr<v1::Outcome>&) { FAIL() << "nobody listens any more"; }};
    calls.push_back(fleet->Run(i % 2 == 0 ? "s1" : "s2", v1::RunRequest(), kLong, std::move(events)));
  }
  ASSERT_TRUE(RunUntil(loop_, [&] { return accepted == 50; }));
  fleet.reset();
  calls.clear();
  loop_.Post([&] { loop_.Stop(); });
  loop_.Run();
}

class GrpcFleetUploadTest : public GrpcFleetTest {
 protected:
  GrpcFleetUploadTest() {
    for (size_t i = 0; i < 700'001; ++i) content_ += static_cast<char>('a' + i % 23);
    file_.path = dir_.Write("k3s", content_);
    file_.sha256 = Sha256Of(content_);
    file_.bytes = content_.size();
    file_.release_version = "v1.32.0+k3s1";
    file_.file_name = "k3s";
    authority_.set_rollout("r1");
  }

  absl::StatusOr<v1::UploadReply> Upload(Fleet& fleet, Transferred moved = nullptr) {
    return Await<v1::UploadReply>([&](auto done) {
      return fleet.Upload("s1", authority_, file_, kLong, std::move(moved), std::move(done));
    });
  }

  std::string content_;
  UploadFile file_;
  v1::Authority authority_;
};

TEST_F(GrpcFleetUploadTest, SendsAFileInChunks) {
  FakeAgent s1(identities_, "s1");
  auto fleet = MakeFleet({{"s1", s1.target()}});
  uint64_t last = 0;
  auto reply = Upload(*fleet, [&](uint64_t bytes, uint64_t total) {
    EXPECT_GT(bytes, last);
    EXPECT_EQ(total, content_.size());
    last = bytes;
  });
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->bytes(), content_.size());
  EXPECT_EQ(last, content_.size());
  EXPECT_EQ(s1.uploads[file_.sha256], content_);
  EXPECT_EQ(s1.largest_chunk, 128u << 10);
  ASSERT_EQ(s1.heads.size(), 1u);
  EXPECT_EQ(s1.heads[0].authority().rollout(), "r1");
  EXPECT_EQ(s1.heads[0].release_version(), "v1.32.0+k3s1");
  EXPECT_EQ(s1.heads[0].file_name(), "k3s");

  // The agent has it now: nothing is sent twice.
  EXPECT_TRUE(Upload(*fleet).ok());
  EXPECT_EQ(s1.heads.size(), 1u);
}

TEST_F(GrpcFleetUploadTest, GoesOnWhereItWasCut) {
  FakeAgent s1(identities_, "s1");
  s1.cut_uploads_after = 200'000;
  auto fleet = MakeFleet({{"s1", s1.target()}});
  EXPECT_EQ(Upload(*fleet).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(Upload(*fleet).ok());
  EXPECT_TRUE(Upload(*fleet).ok());
  EXPECT_EQ(s1.uploads[file_.sha256], content_);
  ASSERT_EQ(s1.heads.size(), 3u);
  EXPECT_EQ(s1.heads[0].offset(), 0u);
  EXPECT_GT(s1.heads[1].offset(), 0u);
}

TEST_F(GrpcFleetUploadTest, ARefusalKeepsItsReason) {
  FakeAgent s1(identities_, "s1");
  const v1::Reason stale = MakeReason(v1::STALE_EPOCH, "r1", "lower than the current epoch");
  s1.upload_status =
      grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, Describe(stale), stale.SerializeAsString());
  auto fleet = MakeFleet({{"s1", s1.target()}});
  const absl::Status refused = Upload(*fleet).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("agent of s1: r1: lower"));
  EXPECT_EQ(ReasonOf(refused, "s1").code(), v1::STALE_EPOCH);
  // An error without one: what is shown names the agent.
  s1.upload_status = grpc::Status(grpc::StatusCode::INTERNAL, "odd",
                                  MakeReason(v1::LOCAL_FAILURE, "", "odd").SerializeAsString());
  EXPECT_EQ(ReasonOf(Upload(*fleet).status(), "s1").detail(), "agent of s1: odd");
}

TEST_F(GrpcFleetUploadTest, AFileThatIsGoneOrShorterIsAnError) {
  FakeAgent s1(identities_, "s1");
  auto fleet = MakeFleet({{"s1", s1.target()}});
  file_.bytes += 1;
  EXPECT_EQ(Upload(*fleet).status().code(), absl::StatusCode::kDataLoss);
  file_.path = dir_ / "missing";
  EXPECT_EQ(Upload(*fleet).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(GrpcFleetTest, DownloadsABackupAndGoesOnWhereItWasCut) {
  FakeAgent s1(identities_, "s1");
  for (int i = 0; i < 12'345; ++i) s1.backup += static_cast<char>('a' + i % 26);
  auto fleet = MakeFleet({{"s1", s1.target()}});
  const DownloadFile file{"b1", "snapshot", dir_ / "copy"};
  dir_.Write("copy.part", s1.backup.substr(0, 5'000));
  auto size = Await<uint64_t>([&](auto done) {
    return fleet->Download("s1", v1::Authority(), file, kLong, nullptr, std::move(done));
  });
  ASSERT_TRUE(size.ok()) << size.status();
  EXPECT_EQ(*size, s1.backup.size());
  EXPECT_EQ(*ReadFile(file.path), s1.backup);
  EXPECT_FALSE(Exists(file.path + ".part"));
  EXPECT_THAT(s1.download_offsets, ElementsAre(5'000u));
}

}  // namespace
}  // namespace k3saga::fleet
