#include "coordinator/fleet/rounds.h"

#include "tests/unit/coordinator/fleet/fake_fleet.h"

namespace k3saga::fleet {
namespace {

using testing::HasSubstr;

v1::NodeFacts FactsOf(const std::string& node) {
  v1::NodeFacts facts;
  facts.set_name(node);
  return facts;
}

class GatherFactsTest : public testing::Test {
 protected:
  void Answer(size_t i) {
    auto done = fleet_.facts[i].callback;
    done(FactsOf(fleet_.facts[i].node));
  }
  CallHandle Gather(FactsRound round) {
    return GatherFacts(fleet_, std::move(round), [this](std::vector<FactsAnswer> answers) {
      answers_ = std::move(answers);
      ++done_;
    });
  }

  FakeFleet fleet_;
  std::vector<FactsAnswer> answers_;
  int done_ = 0;
};

TEST_F(GatherFactsTest, AnswersComeInTheOrderOfTheNodesWhateverTheOrderTheyArrive) {
  FactsRound round;
  round.nodes = {"s1", "w1", "w2"};
  round.request.set_drain_obstacles(true);
  CallHandle call = Gather(round);
  ASSERT_EQ(fleet_.facts.size(), 3u);
  EXPECT_TRUE(fleet_.facts[0].request.drain_obstacles());
  Answer(2);
  fleet_.facts[1].callback(absl::UnavailableError("agent of w1: refused"));
  EXPECT_EQ(done_, 0);
  Answer(0);
  EXPECT_EQ(done_, 1);
  ASSERT_EQ(answers_.size(), 3u);
  EXPECT_EQ(answers_[0].facts->name(), "s1");
  EXPECT_EQ(answers_[1].node, "w1");
  EXPECT_EQ(answers_[1].facts.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(answers_[2].facts->name(), "w2");
}

TEST_F(GatherFactsTest, AsksNoMoreThanItMayAtATime) {
  FactsRound round;
  round.nodes = {"n1", "n2", "n3", "n4", "n5"};
  round.at_a_time = 2;
  CallHandle call = Gather(round);
  size_t answered = 0;
  while (answered < 5) {
    ASSERT_LE(fleet_.facts.size(), answered + 2);
    Answer(answered++);
  }
  EXPECT_EQ(done_, 1);
}

TEST_F(GatherFactsTest, DroppedItDropsItsCalls) {
  FactsRound round;
  round.nodes = {"n1", "n2"};
  CallHandle call = Gather(round);
  call.reset();
  for (const auto& asked : fleet_.facts) EXPECT_FALSE(*asked.alive);
}

class ProbeServersTest : public testing::Test {
 protected:
  CallHandle Probe(bool with_nodes) {
    ProbeRound round;
    round.servers = {"s1", "s2", "s3"};
    round.authority.set_epoch(7);
    round.with_nodes = with_nodes;
    return ProbeServers(fleet_, round, [this](std::vector<v1::ServerProof> proofs) {
      proofs_ = std::move(proofs);
      ++done_;
    });
  }
  void Answer(size_t i, bool ready, int nodes = 0) {
    v1::ServerProof proof;
    proof.set_node("liar");
    proof.set_ready(ready);
    for (int n = 0; n < nodes; ++n) proof.add_nodes()->set_name("n");
    auto done = fleet_.probes[i].callback;
    done(proof);
  }
  void Fail(size_t i) {
    auto done = fleet_.probes[i].callback;
    done(absl::DeadlineExceededError("agent of s?: too late"));
  }

  FakeFleet fleet_;
  std::vector<v1::ServerProof> proofs_;
  int done_ = 0;
};

TEST_F(ProbeServersTest, OneProofAServerAndNoAnswerIsAnAnswer) {
  CallHandle call = Probe(false);
  ASSERT_EQ(fleet_.probes.size(), 3u);
  for (const auto& asked : fleet_.probes) {
    EXPECT_EQ(asked.request.authority().epoch(), 7u);
    EXPECT_FALSE(asked.request.with_nodes());
  }
  Answer(2, true);
  Answer(0, false);
  Fail(1);
  ASSERT_EQ(done_, 1);
  ASSERT_EQ(proofs_.size(), 3u);
  EXPECT_EQ(proofs_[0].node(), "s1");
  EXPECT_TRUE(proofs_[0].reachable());
  EXPECT_FALSE(proofs_[0].ready());
  EXPECT_EQ(proofs_[1].node(), "s2");
  EXPECT_FALSE(proofs_[1].reachable());
  EXPECT_THAT(proofs_[1].note(), HasSubstr("too late"));
  EXPECT_TRUE(proofs_[2].ready());
}

TEST_F(ProbeServersTest, OneServerTellsTheNodes) {
  CallHandle call = Probe(true);
  EXPECT_TRUE(fleet_.probes[0].request.with_nodes());
  EXPECT_FALSE(fleet_.probes[1].request.with_nodes());
  Answer(0, true, 4);
  Answer(1, true);
  Answer(2, true);
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(fleet_.probes.size(), 3u);
  EXPECT_EQ(proofs_[0].nodes_size(), 4);
}

TEST_F(ProbeServersTest, WhenTheFirstCannotTellTheNodesAReadyOneIsAsked) {
  CallHandle call = Probe(true);
  Fail(0);
  Answer(1, false);
  Answer(2, true);
  EXPECT_EQ(done_, 0);
  ASSERT_EQ(fleet_.probes.size(), 4u);
  EXPECT_EQ(fleet_.probes[3].node, "s3");
  EXPECT_TRUE(fleet_.probes[3].request.with_nodes());
  Answer(3, true, 6);
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(proofs_[2].nodes_size(), 6);
}

TEST_F(ProbeServersTest, WhenNobodyCanTellTheNodesTheRoundEndsAllTheSame) {
  CallHandle call = Probe(true);
  for (size_t i = 0; i < 3; ++i) Answer(i, true);
  Answer(3, true);
  Fail(4);
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(fleet_.probes.size(), 5u);
  EXPECT_FALSE(proofs_[2].reachable());
}

}  // namespace
}  // namespace k3saga::fleet
