#include "lab/control/observation.h"

namespace k3saga::lab {
namespace {

TEST(Observation, TellsTheLongestGapAlsoWhileItIsOpen) {
  Observation seen({"s1"}, {}, 0, 0);
  seen.WriteEnded(true, 100);
  seen.WriteEnded(false, 400);
  seen.WriteEnded(true, 900);
  EXPECT_EQ(seen.ToJson(1000)["longest_write_gap_ms"], 800);
  EXPECT_EQ(seen.ToJson(1000)["failed_writes"], 1);
  EXPECT_EQ(seen.ToJson(3000)["longest_write_gap_ms"], 2100);
}

TEST(Observation, CountsWhatWasDownAtOnce) {
  Observation seen({"s1", "s2", "s3"}, {"w1", "w2"}, 0, 0);
  seen.ServersSeen({{true, true}, {false, false}, {true, true}}, 10);
  seen.ServersSeen({{true, true}, {true, true}, {false, true}}, 60);
  seen.WorkersSeen({false, false}, 20);
  seen.WorkersSeen({true, false}, 50);
  const nlohmann::json report = seen.ToJson(100);
  EXPECT_EQ(report["fewest_healthy_members"], 2);
  EXPECT_EQ(report["most_servers_down"], 1);
  EXPECT_EQ(report["most_workers_down"], 2);
  EXPECT_EQ(report["servers"][1]["down_ms"], 50);
  EXPECT_EQ(report["servers"][2]["down_ms"], 40) << "still down";
  EXPECT_EQ(report["workers"][0]["times_down"], 1);
}

}  // namespace
}  // namespace k3saga::lab
