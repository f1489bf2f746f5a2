#include "common/host/event_loop.h"

#include <gmock/gmock.h>

#include <thread>

namespace k3saga {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

TEST(EventLoop, RunsWhatIsPostedInOrderOnItsOwnThread) {
  EventLoop loop;
  std::vector<int> seen;
  std::thread::id thread;
  std::thread poster([&] {
    for (int i = 0; i < 3; ++i) loop.Post([&seen, i] { seen.push_back(i); });
    loop.Post([&] { thread = std::this_thread::get_id(); });
    loop.Post([&] { loop.Stop(); });
  });
  loop.Run();
  poster.join();
  EXPECT_THAT(seen, ElementsAre(0, 1, 2));
  EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST(EventLoop, PostNeverRunsFromInside) {
  EventLoop loop;
  std::vector<std::string> seen;
  loop.Post([&] {
    loop.Post([&] {
      seen.push_back("posted");
      loop.Stop();
    });
    seen.push_back("first");
  });
  loop.Run();
  EXPECT_THAT(seen, ElementsAre("first", "posted"));
}

TEST(EventLoop, TimersFireInTheOrderTheyAreDueAndCancelledOnesNever) {
  EventLoop loop;
  std::vector<int> seen;
  loop.After(milliseconds(20), [&] {
    seen.push_back(3);
    loop.Stop();
  });
  loop.After(milliseconds(1), [&] { seen.push_back(1); });
  const Loop::TimerId cancelled = loop.After(milliseconds(5), [&] { seen.push_back(2); });
  loop.CancelTimer(cancelled);
  loop.CancelTimer(cancelled);
  loop.Run();
  EXPECT_THAT(seen, ElementsAre(1, 3));
}

TEST(EventLoop, ATimerThatSetsItselfAgainStarvesNobody) {
  EventLoop loop;
  int fired = 0;
  bool posted = false;
  std::function<void()> again = [&] {
    if (++fired == 1) loop.Post([&] { posted = true; });
    if (posted) {
      loop.Stop();
    } else {
      loop.After(milliseconds(0), again);
    }
  };
  loop.After(milliseconds(0), again);
  loop.Run();
  EXPECT_TRUE(posted);
}

TEST(EventLoop, StopLeavesTheRestForTheNextRun) {
  EventLoop loop;
  std::vector<int> seen;
  loop.Post([&] {
    seen.push_back(1);
    loop.Stop();
  });
  loop.Post([&] {
    seen.push_back(2);
    loop.Stop();
  });
  loop.Run();
  EXPECT_THAT(seen, ElementsAre(1));
  loop.Run();
  EXPECT_THAT(seen, ElementsAre(1, 2));
}

}  // namespace
}  // namespace k3saga
