#include "coordinator/driver/adopting.h"

#include <gmock/gmock.h>

#include "common/reason.h"
#include "coordinator/core/state.h"
#include "tests/unit/coordinator/fleet/fake_fleet.h"

namespace k3saga::driver {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class AdoptingTest : public testing::Test {
 protected:
  AdoptingTest() {
    Adopting::Job job;
    job.created.set_rollout("r1");
    for (const char* name : {"s1", "s2", "w1"}) {
      v1::PlannedNode& node = *job.created.mutable_plan()->add_nodes();
      node.set_name(name);
      node.set_role(name[0] == 's' ? v1::ROLE_SERVER : v1::ROLE_WORKER);
      job.nodes.emplace_back(name);
    }
    job.holder = "bob@ci:7";
    job.epoch = 5;
    adopting_ = std::make_unique<Adopting>(fleet_, job, [this](Adopting::Result result) {
      result_ = std::move(result);
      ++done_;
    });
  }

  void Acknowledge(size_t run) {
    v1::Outcome outcome;
    outcome.set_code(v1::Outcome::SUCCEEDED);
    fleet_.runs[run].callback.done(outcome);
  }
  void AnswerFacts(size_t at) {
    v1::NodeFacts facts;
    facts.set_name("what it calls itself");
    facts.set_journal_id("journal-" + fleet_.facts[at].node);
    fleet_.facts[at].callback(facts);
  }

  fleet::FakeFleet fleet_;
  std::unique_ptr<Adopting> adopting_;
  Adopting::Result result_;
  int done_ = 0;
};

TEST_F(AdoptingTest, EveryServerAcknowledgesBeforeAnybodyIsAsked) {
  ASSERT_THAT(fleet_.runs, SizeIs(3));
  const v1::RunRequest& request = fleet_.runs[0].request;
  EXPECT_EQ(request.authority().epoch(), 5u);
  EXPECT_EQ(request.authority().holder(), "bob@ci:7");
  EXPECT_EQ(request.id().sequence(), core::FirstSequence(5));
  EXPECT_NE(request.spec().claim().rollout_created(), "") << "whoever adopts it from us needs it too";
  EXPECT_EQ(fleet_.runs[2].request.spec().claim().rollout_created(), "");
  Acknowledge(0);
  Acknowledge(2);
  EXPECT_THAT(fleet_.facts, IsEmpty());
  Acknowledge(1);
  ASSERT_THAT(fleet_.facts, SizeIs(3));
  EXPECT_TRUE(fleet_.facts[0].request.for_adoption());
}

TEST_F(AdoptingTest, ReportsEachNodeUnderOurName) {
  for (size_t i = 0; i < 3; ++i) Acknowledge(i);
  AnswerFacts(1);
  AnswerFacts(0);
  fleet_.facts[2].callback(absl::UnavailableError("w1 is away"));
  ASSERT_THAT(fleet_.listings, SizeIs(2));
  v1::ListOperationsReply reply;
  reply.add_operations()->mutable_id()->set_sequence(17);
  fleet_.listings[0].callback(reply);
  EXPECT_EQ(done_, 0);
  fleet_.listings[1].callback(absl::UnavailableError("gone again"));
  ASSERT_EQ(done_, 1);
  EXPECT_THAT(result_.refusals, IsEmpty());
  ASSERT_THAT(result_.reports, SizeIs(3));
  EXPECT_EQ(result_.reports[1].facts.name(), "s2");
  ASSERT_THAT(result_.reports[1].operations, SizeIs(1));
  EXPECT_EQ(result_.reports[1].operations[0].id.sequence(), 17u);
  EXPECT_EQ(result_.reports[0].facts.journal_id(), "") << "half an answer is none";
  EXPECT_EQ(result_.reports[2].facts.journal_id(), "");
}

TEST_F(AdoptingTest, AServerThatDoesNotAcknowledgeIsInTheWayAWorkerIsNot) {
  Acknowledge(0);
  v1::Outcome stale;
  stale.set_code(v1::Outcome::REFUSED);
  *stale.mutable_reason() = MakeReason(v1::STALE_EPOCH, "r1", "a third one came");
  fleet_.runs[1].callback.done(stale);
  fleet_.runs[2].callback.done(absl::UnavailableError("away"));
  ASSERT_EQ(done_, 1);
  ASSERT_THAT(result_.refusals, SizeIs(1));
  EXPECT_EQ(result_.refusals[0].code(), v1::STALE_EPOCH);
  EXPECT_THAT(fleet_.facts, IsEmpty());
}

}  // namespace
}  // namespace k3saga::driver
