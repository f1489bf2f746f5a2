#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/plans.h"
#include "tests/unit/core/stage.h"

namespace k3saga::core {
namespace {

using ::testing::ElementsAre;

// Which server leads the control loops, by the order of the plan; -1: that cannot be told.
class LoopsLedBy {
 public:
  explicit LoopsLedBy(Stage& stage, int server) : server_(server) {
    stage.spoil = [this, &stage](v1::GateProved& proved) {
      if (given_to_ >= 0 && stage.state().nodes[static_cast<size_t>(server_)].moved()) server_ = given_to_;
      if (server_ >= 0) proved.mutable_servers(server_)->set_leads_control_loops(true);
    };
  }
  // Once the one that leads was upgraded, this one does.
  void GivenTo(int server) { given_to_ = server; }

 private:
  int server_;
  int given_to_ = -1;
};

std::vector<std::string> Moves(const Stage& stage) { return stage.Issued({"install", "move_leader"}); }

TEST(ServerOrder, WhoeverLeadsTheControlLoopsGoesFirst) {
  Stage stage(MakeRollout(3, 1));
  LoopsLedBy loops(stage, 2);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(Moves(stage),
              ElementsAre("install s3", "install s2", "move_leader s1", "install s1", "install w1"));
}

// As in every new cluster. etcd's leadership is moved twice then: off it, and off the one that goes last.
TEST(ServerOrder, AlsoIfItLeadsEtcd) {
  Stage stage(MakeRollout(3, 0));
  LoopsLedBy loops(stage, 0);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(Moves(stage),
              ElementsAre("move_leader s1", "install s1", "install s3", "move_leader s2", "install s2"));
}

TEST(ServerOrder, ItGoesOnWithTheNextLeaderWhereTheLoopsDidNotStay) {
  Stage stage(MakeRollout(5, 0));
  LoopsLedBy loops(stage, 1);
  loops.GivenTo(3);
  stage.Play();
  EXPECT_EQ(stage.state().result, v1::RolloutEnded::SUCCEEDED);
  EXPECT_THAT(Moves(stage), ElementsAre("install s2", "install s4", "install s3", "install s5",
                                        "move_leader s1", "install s1"));
}

}  // namespace
}  // namespace k3saga::core
